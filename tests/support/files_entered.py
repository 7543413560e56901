"""Counts the files of the package that a call enters: what somebody has to read who follows it."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import django_scheduler

PACKAGE = Path(django_scheduler.__file__).parent


class FilesEntered:
    """Collects files, by their paths in the package, from ``begin`` on.

    ``since``, ``until``: names of functions. A call of the first begins anew, and a call of the second ends it.
    """

    def __init__(self, since: str | None = None, until: str | None = None) -> None:
        self.files: set[str] = set()
        self._since = since
        self._until = until
        self._collects = False

    def begin(self) -> None:
        """Collect from now on."""
        self.files.clear()
        self._collects = True

    def note(self, frame: FrameType, event: str, argument: object) -> None:
        """Do what a profile function does; the import of a module does not count."""
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(PACKAGE):
            self._collects &= frame.f_code.co_name != self._until
            if frame.f_code.co_name == self._since:
                self.files.clear()
            if self._collects and frame.f_code.co_name != "<module>":
                self.files.add(path.relative_to(PACKAGE).as_posix())


@contextmanager
def files_entered() -> Iterator[set[str]]:
    """Collect the files that are entered within, by this thread."""
    entered = FilesEntered()
    entered.begin()
    sys.setprofile(entered.note)
    try:
        yield entered.files
    finally:
        sys.setprofile(None)


@contextmanager
def files_entered_by_threads(name: str, *, since: str, until: str) -> Iterator[FilesEntered]:
    """Collect the files that are entered by threads of that name which begin within, once ``begin`` has been called."""
    entered = FilesEntered(since, until)

    def note(frame: FrameType, event: str, argument: object) -> None:
        # Not current_thread(), which makes a thread up where there is none yet.
        thread = threading._active.get(threading.get_ident())  # type: ignore[attr-defined]
        if thread is not None and thread.name.startswith(name):
            entered.note(frame, event, argument)

    threading.setprofile(note)
    try:
        yield entered
    finally:
        threading.setprofile(None)
