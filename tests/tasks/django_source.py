"""Django's own tests, which only its source distribution has: downloaded once, and kept beside the code."""

import fcntl
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import django

DIRECTORY = Path(__file__).parent.parent.parent / ".django-source"


def find_tests_of_this_django() -> Path:
    """Where the tests of the Django that is installed are.

    Raises ``OSError`` or ``subprocess.SubprocessError`` if they cannot be had.
    """
    source = DIRECTORY / f"django-{django.get_version()}"
    if not source.exists():
        DIRECTORY.mkdir(exist_ok=True)
        with (DIRECTORY / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # who else runs tests waits for the download
            if not source.exists():
                with TemporaryDirectory(dir=DIRECTORY) as directory:
                    _download_into(Path(directory)).rename(source)
    return source / "tests"


def _download_into(directory: Path) -> Path:
    name = f"django-{django.get_version()}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary", "django", "--dest", str(directory), f"django=={django.get_version()}"]
    subprocess.run(command, check=True, capture_output=True, timeout=150)
    with tarfile.open(directory / f"{name}.tar.gz") as archive:
        members = [member for member in archive if member.name.startswith(f"{name}/tests/tasks/")]
        archive.extractall(directory, members, filter="data")
    return directory / name
