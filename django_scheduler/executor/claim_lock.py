"""The claim lock lets one worker of an executor at a time look for due functions and claim."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import inf
from threading import Condition, Lock
from typing import NamedTuple

from django_scheduler.executor.execution import SingleExecution


class GivenExecution(NamedTuple):
    """Is what a worker has claimed for another one, which executes it."""

    execution: SingleExecution
    #: The error of the COMMIT of the claim, if there was one.
    commit_error: BaseException | None


class ClaimLock:
    """Lets one worker at a time look for due functions and claim, also for those that wait for the lock meanwhile.

    The one that has begun to wait last is the next one. So an idle executor executes with two of its workers, by turns,
    whose sessions the server has used just before; the others need not even connect.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: list[Condition] = []
        self._holding: Holding | None = None
        #: For how many of those that wait nothing has been claimed yet.
        self.idle = 0
        #: What has been given to workers that wait, and not been taken by them yet.
        self.given: deque[GivenExecution] = deque()

    @contextmanager
    def held(self, take: Callable[[GivenExecution], None] | None = None) -> Iterator["Holding | None"]:
        """Wait for the lock, and hold it until it is released, or at most to the end of the block.

        ``take``: takes what another holder has given to this worker. Then ``None`` is yielded, and it is not held.
        """
        holding = self._acquire(take)
        try:
            yield holding
        finally:
            if holding is not None:
                holding.release()

    def give(self, given: Sequence[GivenExecution]) -> None:
        """Give what was claimed to workers that wait; the caller has the lock, and so many are ``idle``."""
        with self._lock:
            self.idle -= len(given)
            self.given.extend(given)
            for _ in given:
                self._wake_last()

    def _acquire(self, take: Callable[[GivenExecution], None] | None) -> "Holding | None":
        with self._lock:
            self.idle += take is not None
            told = Condition(self._lock)
            while True:
                if take and self.given:
                    take(self.given[0])
                    self.given.popleft()  # only now, so that at each moment somebody is known to execute it
                    return None
                if not self._holding or (left := self._holding.ends_at - time.monotonic()) <= 0:
                    break
                self._waiting.append(told)
                told.wait(None if left == inf else left)
                if told in self._waiting:  # its time was up
                    self._waiting.remove(told)
            self.idle -= take is not None
            self._holding = Holding(self)
            return self._holding

    def _wake_last(self) -> None:
        if self._waiting:
            self._waiting.pop().notify()

    def end(self, holding: "Holding", *, after: float) -> None:
        """Release the lock, or shorten the time with it; do nothing if another thread holds it by now."""
        with self._lock:
            if self._holding is not holding:
                return
            if after:
                holding.ends_at = time.monotonic() + after
            else:
                self._holding = None
            self._wake_last()  # that thread takes it, or learns until when to wait


class Holding:
    """Is one worker's time with the claim lock."""

    def __init__(self, lock: ClaimLock) -> None:
        self._lock = lock
        self.ends_at = inf

    def release(self, *, after: float = 0.0) -> None:
        """Let another worker take the lock, now or once ``after`` seconds have passed. A second call has no effect."""
        self._lock.end(self, after=after)
