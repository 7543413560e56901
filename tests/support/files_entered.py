"""Counts the files of the package that a call enters: what somebody has to read who follows it."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import django_scheduler

PACKAGE = Path(django_scheduler.__file__).parent


@contextmanager
def files_entered(thread_name: str | None = None) -> Iterator[set[str]]:
    """Collect the files of the package whose functions are called within, by their paths in it.

    In this thread, or in threads that begin within and whose name begins with ``thread_name``. The import of a module
    does not count.
    """
    entered: set[str] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and frame.f_code.co_name != "<module>" and path.is_relative_to(PACKAGE):
            entered.add(path.relative_to(PACKAGE).as_posix())

    def note_in_thread(frame: FrameType, event: str, argument: object) -> None:
        # Not current_thread(), which makes a thread up where there is none yet.
        thread = threading._active.get(threading.get_ident())  # type: ignore[attr-defined]
        if thread is not None and thread.name.startswith(thread_name):
            note(frame, event, argument)

    if thread_name is None:
        sys.setprofile(note)
    else:
        threading.setprofile(note_in_thread)
    try:
        yield entered
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
