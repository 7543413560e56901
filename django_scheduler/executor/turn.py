"""The turn: which worker of an executor looks out and claims. The others wait for it, or execute.

Whoever has claimed hands the turn on and executes. Only who has claimed a large group of mutations keeps it for a
moment more, because threads that run short bodies at once take Python's one lock from each other (measured on
PostgreSQL with eight threads: 1,600 inserts a second, and 2,700 like this). So the next one begins when these bodies
have run, and what is left is to wait for COMMIT. But one of them may wait as well, for whatever and for however long.
So the turn is kept for so long only, and then whoever waits for it takes it without being given it. (``group_size.py``
knows when it is kept.)
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

NEVER = float("inf")


class Turn:
    def __init__(self) -> None:
        self._changed = Condition()
        self._hold: Hold | None = None

    @contextmanager
    def taken(self) -> Iterator["Hold"]:
        """Wait for the turn, and have it until it is handed on, or at most to the end of the block."""
        hold = self._take()
        try:
            yield hold
        finally:
            hold.hand_on()

    def _take(self) -> "Hold":
        with self._changed:
            while self._hold and (left := self._hold.ends_at - time.monotonic()) > 0:
                self._changed.wait(None if left == NEVER else left)
            self._hold = Hold(self)
            return self._hold

    def end(self, hold: "Hold", *, after: float) -> None:
        """Nothing if somebody else has the turn by now."""
        with self._changed:
            if self._hold is not hold:
                return
            if after:
                hold.ends_at = time.monotonic() + after
            else:
                self._hold = None
            self._changed.notify()  # one of those who wait takes it, or learns until when to wait


class Hold:
    """Somebody's turn."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self.ends_at = NEVER

    def hand_on(self, *, after: float = 0.0) -> None:
        """Let another worker have the turn, now or once so many seconds have passed; again, to no effect."""
        self._turn.end(self, after=after)
