"""Django's own tests, which only its source distribution has: downloaded once, and kept beside the code."""

import subprocess
import sys
import tarfile
from pathlib import Path

import django

DIRECTORY = Path(__file__).parent.parent.parent / ".django-source"


def find_tests_of_this_django() -> Path:
    """Where the tests of the Django that is installed are.

    Raises ``OSError`` or ``subprocess.SubprocessError`` if they cannot be had.
    """
    name = f"django-{django.get_version()}"
    if not (DIRECTORY / name / "tests").exists():
        DIRECTORY.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--no-binary", "django", "--dest", str(DIRECTORY), f"django=={django.get_version()}"]
        subprocess.run(command, check=True, capture_output=True, timeout=150)
        with tarfile.open(DIRECTORY / f"{name}.tar.gz") as archive:
            members = [member for member in archive if member.name.startswith(f"{name}/tests/tasks/")]
            archive.extractall(DIRECTORY, members, filter="data")
    return DIRECTORY / name / "tests"
