"""SIGTERM, SIGINT and SIGQUIT ask a process to stop, and so may the time; they are counted here."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Pipe
from types import FrameType
from typing import Any, Self

#: How many requests to stop each of them counts as: 1 asks to end gracefully, 2 to end at once.
REQUESTS = {signal.SIGTERM: 1, signal.SIGINT: 1}
if hasattr(signal, "SIGQUIT"):
    REQUESTS[signal.SIGQUIT] = 2


class StopSignals:
    """Counts the signals that ask to stop, as long as it is entered. Only the main thread receives any.

    ``stop_at``: from this time of ``time.monotonic()`` on it is as if one had come.
    """

    def __init__(self, stop_at: float | None = None) -> None:
        self._stop_at = stop_at
        self._count = 0
        #: Becomes readable when a signal has come, for a thread that waits for several things.
        self.wakeup, self._waker = Pipe(duplex=False)

    def __enter__(self) -> Self:
        self._before: dict[signal.Signals, Any] = {}
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._receive) for number in REQUESTS}
            if hasattr(signal, "pthread_sigmask"):
                signal.pthread_sigmask(signal.SIG_UNBLOCK, REQUESTS)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        self.wakeup.close()
        self._waker.close()

    @property
    def count(self) -> int:
        return max(self._count, 1 if self.seconds_left == 0 else 0)

    @property
    def seconds_left(self) -> float | None:
        """Return how long it is until the time to stop; ``None``: there is no such time."""
        return None if self._stop_at is None else max(0.0, self._stop_at - time.monotonic())

    def _receive(self, number: int, frame: FrameType | None) -> None:
        # Looked up first: Python may handle another signal within a call, and if that call came between reading the
        # count and writing it, the other signal would not be counted.
        requests = REQUESTS[signal.Signals(number)]
        self._count += requests
        self._waker.send_bytes(b"!")


def end_at_next_signal(exit_code: int) -> None:
    """End this process with that exit code as soon as one of the signals comes."""
    for number in REQUESTS:
        signal.signal(number, lambda *_: os._exit(exit_code))


def ignore_signals() -> None:
    """Ignore the signals from now on: this process is ending."""
    for number in REQUESTS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def blocked_in_child() -> Iterator[None]:
    """Keep the signals from a process that is started within this block until it counts them itself.

    A signal that came earlier would end the new process in the middle of its start, or be missed.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, REQUESTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
