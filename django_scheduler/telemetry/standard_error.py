"""Write the log to standard error, where nobody has to wait for who reads it.

A pipe that nobody reads is full after a few hundred lines, and then whoever writes to it waits for ever: a worker, and
also the end of the process. So a thread of its own does the writing. Lines that it has not written yet wait in memory.
When too many do, further ones are dropped, and a later line says how many.
"""

import logging
import os
import sys
import threading
import time
from contextlib import suppress
from queue import SimpleQueue

#: So many lines may wait: what an executor writes in some seconds when it is busiest.
MOST_WAITING = 10_000

#: How many of them are written at once.
MOST_AT_ONCE = 200

#: How long the end of a process waits for the lines to be written, in seconds.
FLUSH_TIMEOUT = 1.0


class LineFormatter(logging.Formatter):
    """Formats lines that begin with the time, which it formats once a second: an executor logs thousands."""

    _last: tuple[int, str] = (0, "")

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info or record.exc_text or record.stack_info:
            return super().format(record)
        return f"{self.formatTime(record)} {record.levelname} {record.getMessage()}"

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        second, text = self._last
        if second != int(record.created):
            second = int(record.created)
            text = time.strftime(self.default_time_format, self.converter(second))
            self._last = second, text
        return f"{text},{int(record.msecs):03}"


class StandardErrorHandler(logging.Handler):
    """Writes to standard error, and keeps nobody waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(LineFormatter())
        self._waiting: SimpleQueue[str | threading.Event] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:
            self.handleError(record)
            return
        if self._thread is None or not self._thread.is_alive():
            self._start()
        if self._waiting.qsize() >= MOST_WAITING:
            self._dropped += 1
            return
        if self._dropped:
            self._waiting.put(self._report_dropped())
        self._waiting.put(line)

    def flush(self) -> None:
        """Wait until everything is written, for ``FLUSH_TIMEOUT`` at most."""
        if self._thread is not None and self._thread.is_alive():
            is_written = threading.Event()
            self._waiting.put(is_written)
            is_written.wait(FLUSH_TIMEOUT)

    def _start(self) -> None:
        # Also in a process that was forked, which has not got the thread; what waited there is written by its parent.
        self._waiting = SimpleQueue()
        self._thread = threading.Thread(
            target=_write_each, args=[self._waiting], name="django_scheduler standard error", daemon=True
        )
        self._thread.start()

    def _report_dropped(self) -> str:
        message = f"{self._dropped:,} lines of the log were dropped, because nobody read standard error"
        self._dropped = 0
        return self.format(logging.makeLogRecord({"levelname": "WARNING", "msg": message}))


def _write_each(waiting: SimpleQueue[str | threading.Event]) -> None:
    while True:
        # Together what waits together: each write gives Python's lock away, and a worker waits to get it back.
        taken = [waiting.get(), *(waiting.get() for _ in range(min(waiting.qsize(), MOST_AT_ONCE)))]
        with suppress(Exception):  # it may be closed
            _write("".join(f"{line}\n" for line in taken if isinstance(line, str)))
        for each in taken:
            if isinstance(each, threading.Event):
                each.set()


def _write(text: str) -> None:
    stream = sys.stderr
    try:
        number = stream.fileno()
    except (OSError, ValueError):
        stream.write(text)
        return
    # Not through the stream: the end of Python would wait for its lock.
    left = text.encode(stream.encoding, "backslashreplace")
    while left:
        left = left[os.write(number, left) :]
