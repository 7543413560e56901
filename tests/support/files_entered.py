"""Counts the files of the package that a call enters: what somebody has to read who follows it."""

import os
import sys
from pathlib import Path
from types import FrameType
from typing import Self

import django_scheduler

#: How the paths of the files of the package begin.
PACKAGE = f"{Path(django_scheduler.__file__).parent}{os.sep}"


class FilesEntered:
    """Collects the files that this thread enters within, from each call of one function to the next of another one.

    Of this thread alone: with profile functions in several threads, Python 3.11 may never come to an end.
    """

    def __init__(self, since: str, until: str) -> None:
        self._since = since
        self._until = until
        self._files: set[str] = set()
        #: Of each time that it came to ``until``, by their paths in the package.
        self.collected: list[set[str]] = []

    def __enter__(self) -> Self:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        sys.setprofile(None)
        self.collected.append(self._files)

    def _note(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(PACKAGE):
            return
        if code.co_name == self._since:
            self._files = set()
        elif code.co_name == self._until:
            self.collected.append(self._files)
            self._files = set()
        self._files.add(code.co_filename.removeprefix(PACKAGE))
