"""The contenders' virtual environments: one each and Python, made when missing or when the dependencies have changed.

All get the Django and the driver that this process runs, so that they differ in nothing but themselves.
"""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from benchmarks.errors import Unavailable
from benchmarks.header import Header

CHECKOUT = Path(__file__).parent.parent
ENVIRONMENTS = Path(__file__).parent / ".environments"
SHARED = ("Django", "psycopg", "psycopg-binary")

#: How long an installation may take, in seconds.
INSTALLATION = 300


class Environment:
    """Where a contender is installed."""

    def __init__(self, directory: Path) -> None:
        self._programs = directory / "bin"

    def command(self, line: list[str]) -> list[str]:
        """A command as it is typed there."""
        program, *arguments = line
        return [str(self._programs / program), *arguments]


def environment_for(header: Header) -> Environment:
    """The contender's environment.

    Raises ``Unavailable`` if it cannot be made.
    """
    if not _is_new_enough(header.requires_python):
        raise Unavailable(f"it needs Python {header.requires_python}, and this is {platform.python_version()}")
    directory = ENVIRONMENTS / f"python{sys.version_info.major}.{sys.version_info.minor}" / header.name
    constraints = "".join(f"{name}=={metadata.version(name)}\n" for name in SHARED)
    recipe = f"{sys.version}\n{constraints}{' '.join(header.dependencies)}\n"
    made = directory / "recipe.txt"
    if not made.exists() or made.read_text() != recipe:
        _make(directory, header, constraints)
        made.write_text(recipe)
    return Environment(directory)


def _make(directory: Path, header: Header, constraints: str) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", "--clear", str(directory)])
    constraints_file = directory / "constraints.txt"
    constraints_file.write_text(constraints)
    requirements = ["--editable", str(CHECKOUT)] if header.name == "ours" else []
    requirements += [dependency for dependency in header.dependencies if dependency != "django-ctx-scheduler"]
    pip = [str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--constraint", str(constraints_file), *requirements])


def _is_new_enough(required: str) -> bool:
    """``required`` is empty, or as in ``>=3.12``."""
    return not required or sys.version_info >= tuple(map(int, required.removeprefix(">=").split(".")))


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALLATION, env=dict(os.environ))
    except subprocess.CalledProcessError as error:
        lines = [line for line in str(error.stderr).splitlines() if line.startswith("ERROR")]
        raise Unavailable(f"it cannot be installed: {lines[-1] if lines else error}") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"its installation takes longer than {INSTALLATION} s") from error
