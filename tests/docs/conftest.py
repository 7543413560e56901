"""The package as users get it: built, and installed into an environment of its own."""

import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the wheel and the sdist."""
    directory = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--directory", str(directory)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=50)
    return directory


@dataclass(frozen=True)
class Environment:
    directory: Path

    @property
    def binaries(self) -> Path:
        return self.directory / ("Scripts" if sys.platform == "win32" else "bin")


@pytest.fixture(scope="session")
def environment(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return a fresh virtual environment with the wheel. No registry is asked: what it depends on is borrowed."""
    directory = tmp_path_factory.mktemp("environment")
    venv.create(directory, with_pip=False)
    environment = Environment(directory)
    python = environment.binaries / "python"
    (wheel,) = distributions.glob("*.whl")
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-index", "--no-deps", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=50)
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    libraries = subprocess.run([python, "-c", where], check=True, capture_output=True, text=True).stdout.strip()
    # Behind the environment's own directory, so it is the wheel that is imported and not this checkout.
    (Path(libraries) / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    django_admin = environment.binaries / "django-admin"
    django_admin.write_text(f'#!/bin/sh\nexec "{python}" -m django "$@"\n')
    django_admin.chmod(0o755)
    return environment
