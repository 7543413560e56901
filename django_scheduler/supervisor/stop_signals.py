"""SIGTERM, SIGINT and SIGQUIT, counted."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Pipe
from types import FrameType
from typing import Any, Self

#: How much each of them insists: 1 asks to end in good order, 2 to end at once.
INSISTENCE = {signal.SIGTERM: 1, signal.SIGINT: 1}
if hasattr(signal, "SIGQUIT"):
    INSISTENCE[signal.SIGQUIT] = 2


class StopSignals:
    """Counts the signals that ask to stop, as long as it is entered. Only the main thread is given any."""

    def __init__(self) -> None:
        self.count = 0
        #: Readable when a signal has come, for who waits for several things.
        self.bell, self._ringer = Pipe(duplex=False)

    def __enter__(self) -> Self:
        self._before: dict[signal.Signals, Any] = {}
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._receive) for number in INSISTENCE}
            _unmask()
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        self.bell.close()
        self._ringer.close()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        # Another signal may arrive within any call: with one between reading the count and writing it, that is lost.
        insistence = INSISTENCE[signal.Signals(number)]
        self.count += insistence
        self._ringer.send_bytes(b"!")


@contextmanager
def masked_in_child() -> Iterator[None]:
    """A process that is started within it is given no such signal until it counts them: it would not know of it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, INSISTENCE)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _unmask() -> None:
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, INSISTENCE)
