"""The alive file says when all processes of a ``runscheduler`` were last known to run, for the probe of a container.

Its time of modification is that moment, so whoever asks needs neither Python nor the database: ``find FILE -mmin -1``.

It is honest about this much: a process that has ended is replaced, or has ended the command; one whose main thread does
not run any more (it is stopped, starved, or native code keeps the interpreter's lock) leaves the file as old as it is;
one in which all threads are held by bodies that do not end is replaced, or ends the command. It does not say that
functions make progress: a body that waits for ever without a timeout looks like one that works, and while the database
is away there is nothing that a new process would do better. ``scheduler_status`` tells these by the lag.
"""

import logging
import time
from contextlib import suppress
from pathlib import Path

from django_scheduler.executor import log_briefly

#: How often it is touched, in seconds.
INTERVAL = 1.0


class AliveFile:
    """Is touched while all is well.

    Raises ``OSError`` if it cannot be written at the beginning.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._path.touch()
        self._touched_at = time.monotonic()

    def touch(self) -> None:
        """Say that all processes run, once in ``INTERVAL``."""
        if time.monotonic() < self._touched_at + INTERVAL:
            return
        self._touched_at = time.monotonic()
        try:
            self._path.touch()
        except OSError as error:
            message = "The alive file %s could not be written, so a probe takes this for dead: %s"
            log_briefly(logging.WARNING, message, self._path, error)

    def remove(self) -> None:
        """Remove it, at the end of the command."""
        with suppress(OSError):
            self._path.unlink()
