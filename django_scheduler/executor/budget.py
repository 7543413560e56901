"""A time budget: how long a body may run, and what happens when it runs for longer.

The invariant: once the time is up, the outcome is ``timeout``, whatever the body makes of it; and nothing that enforces
it reaches anything but the body.

* ``is_exceeded`` is set under the budget's lock, only as long as the body has not ended, and never unset. ``call``
  raises ``TimedOut`` at its end if it is set, also if the body has caught everything and returned.
* How a body is stopped depends on what it is: see ``mutation_budget.py`` for a mutation. An async action is canceled. A
  synchronous action cannot be stopped, because nobody knows what it is doing: it asks ``ctx.canceled``.
* An exception that is raised in a thread from outside arrives at the thread's next instruction, or after the next hour
  if it is in C code. So that it never arrives in our own code, ``_leave`` first forbids, under the lock, that another
  one is raised, and then takes back one that has not arrived. Should it arrive in ``_leave``, that begins again.
* A body that has not ended ``GRACE`` after its time was up is given up: in a thread of their own its session is ended
  and its outcome recorded, as if the worker had died. When its thread returns at last, it finds the function decided,
  and its outcome is dropped as that of any other worker would be.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property
from threading import Lock
from typing import TypeVar

from django.utils import timezone

from django_scheduler.errors import TimedOut
from django_scheduler.executor.watchdog import watchdog

T = TypeVar("T")

#: How long a body has to end once its time is up, in seconds.
GRACE = 5.0

#: How often it is interrupted until then, in seconds: what it was interrupted in may have caught that.
REPEAT = 0.5


class Budget:
    """Of one call of one body; each attempt has a new one.

    ``interrupt`` and ``give_up`` are called in the watchdog's thread, and must not keep it: the first again and again
    once the time is up, the second once, after the grace.
    """

    def __init__(
        self, timeout: timedelta | None, *, interrupt: Callable[[], object], give_up: Callable[[], object]
    ) -> None:
        self.timeout = timeout
        self.is_exceeded = False
        self._interrupt = interrupt
        self._give_up = give_up
        self.is_given_up = False
        self._has_ended = False
        self._lock = Lock()
        #: By the clock of this host; ``None``: never.
        self.deadline: datetime | None = None if timeout is None else timezone.now() + timeout
        self._ends_at = float("inf") if timeout is None else time.monotonic() + timeout.total_seconds()
        self.alarm_time = self._ends_at

    def call(self, body: Callable[[], T]) -> T:
        """Call the body, and return what it returns.

        Raises what it raises, and ``TimedOut`` if it took too long.
        """
        if self.timeout is None:
            return body()
        try:
            watchdog().watch(self)
            return body()
        finally:
            while not self._has_ended:
                try:
                    self._leave()
                except TimedOut:  # it arrived only now
                    continue
            watchdog().forget(self)
            if self.is_exceeded:
                raise self.error

    @property
    def is_over(self) -> bool:
        """Whether the time is up, even if nobody has noticed yet."""
        return time.monotonic() >= self._ends_at

    @property
    def has_ended(self) -> bool:
        """Whether the body has."""
        return self._has_ended

    @cached_property
    def error(self) -> TimedOut:
        """What is recorded."""
        assert self.timeout is not None
        return TimedOut(f"its body ran for longer than the {self.timeout.total_seconds():g} s that it may.")

    def alarm(self) -> None:
        with self._lock:
            if self._has_ended:
                self.alarm_time = float("inf")
                return
            self.is_exceeded = True
            self._interrupt()
        self.alarm_time = time.monotonic() + REPEAT
        if not self.is_given_up and time.monotonic() >= self._ends_at + GRACE:
            self.is_given_up = True
            self._give_up()

    def _leave(self) -> None:
        with self._lock:
            self._has_ended = True
            self.is_exceeded |= self.is_over  # the watchdog may be about to notice
            if self.is_exceeded:
                self._take_back()

    def _take_back(self) -> None:
        """Take back an interruption that has not arrived yet."""
