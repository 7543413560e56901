"""Counts the files of the package that a call enters: what somebody has to read who follows it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import django_scheduler

#: How the paths of the files of the package begin.
PACKAGE = f"{Path(django_scheduler.__file__).parent}{os.sep}"


class FilesEntered:
    """Collects the files that are entered from each call of one function to the next call of another one."""

    def __init__(self, since: str, until: str) -> None:
        self._since = since
        self._until = until
        self._files: set[str] = set()
        #: Of each time that it came to ``until``, by their paths in the package.
        self.collected: list[set[str]] = []

    def note(self, frame: FrameType, event: str, argument: object) -> None:
        """Take note of a call, as a profile function does. (``sys.setprofile`` is for one thread.

        With profile functions in several threads Python 3.11 may never come to an end: each of them hands over its lock
        before it has gone on by an instruction.)
        """
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(PACKAGE):
            return
        if code.co_name == self._since:
            self._files = set()
        elif code.co_name == self._until:
            self.collected.append(self._files)
            self._files = set()
        self._files.add(code.co_filename.removeprefix(PACKAGE))


@contextmanager
def files_entered() -> Iterator[set[str]]:
    """Collect the files that are entered within, by this thread."""
    entered: set[str] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            entered.add(frame.f_code.co_filename.removeprefix(PACKAGE))

    sys.setprofile(note)
    try:
        yield entered
    finally:
        sys.setprofile(None)
