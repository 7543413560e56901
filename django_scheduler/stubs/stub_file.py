"""The stub of a project: where it is, what is in it, and whether it says what the code says now."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from django.conf import settings

from django_scheduler.functions import registry
from django_scheduler.stubs.stub import FILE_NAME, stub_of


def root_of_project() -> Path:
    """Return the directory that a stub is written to: ``BASE_DIR``, or the current one if there is no such setting."""
    return Path(getattr(settings, "BASE_DIR", None) or ".").resolve()


def find_stubs() -> list[Path]:
    """Return the stubs of the project: that in its root, and those that are where its modules are imported from.

    Type checkers take one of several, and nobody here knows which.
    """
    places = dict.fromkeys([root_of_project(), *(Path(place).resolve() for place in sys.path)])
    # Not Path.is_file, which raises an error for a directory that may not be looked into.
    return [stub for place in places if os.path.isfile(stub := place / FILE_NAME)]  # noqa: PTH113


def command_for(stub: Path) -> str:
    """Return the command that writes a stub to this place."""
    output = "" if stub.parent == root_of_project() else f" --output {stub.parent}"
    return f"manage.py scheduler_stubs{output}"


def text_of_stub() -> str:
    """Return what the stub has to say: which functions every process imports when it starts."""
    return stub_of(function for function in registry if function.is_imported_at_start)


def is_up_to_date(stub: Path) -> bool:
    """Return whether a stub says what the code says. One that is not there, or cannot be read, does not."""
    try:
        text = stub.read_text("utf-8", errors="replace")
    except OSError:
        return False
    return text == text_of_stub()


def write_stub(stub: Path) -> bool:
    """Write the stub if it is not up to date, all of it or nothing, and return whether that was so."""
    if is_up_to_date(stub):
        return False
    descriptor, new = tempfile.mkstemp(dir=stub.parent, prefix=f".{stub.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text_of_stub())
        Path(new).chmod(0o644)
        Path(new).replace(stub)
    except BaseException:
        Path(new).unlink(missing_ok=True)
        raise
    return True
