"""The watchdog: one thread of the process that calls whoever is watched when its time has come.

It costs next to nothing while everything is in time, which is nearly always. Beginning to be watched and ceasing to
are an entry in a set. The thread is woken only for an alarm that is earlier than all it knew of, and otherwise
wakes when the earliest of those has come, mostly to find that what it was for has long ended: at a steady load that
is once per time budget, however many functions run.
"""

import logging
import threading
import time
from functools import cache
from typing import Protocol

from django_scheduler.log import log_of_executors as log


class Watched(Protocol):
    #: When to call ``alarm``, by ``time.monotonic()``.
    alarm_time: float

    def alarm(self) -> None:
        """Called in the watchdog's thread, which must not be kept; sets the next ``alarm_time``."""


class Watchdog:
    def __init__(self) -> None:
        self._change = threading.Condition()
        self._watched: set[Watched] = set()
        self._wakes_at = float("inf")
        threading.Thread(target=self._run, name="django_scheduler watchdog", daemon=True).start()

    def watch(self, watched: Watched) -> None:
        with self._change:
            self._watched.add(watched)
            if watched.alarm_time < self._wakes_at:
                self._wakes_at = watched.alarm_time
                self._change.notify()

    def forget(self, watched: Watched) -> None:
        with self._change:
            self._watched.discard(watched)

    def _run(self) -> None:
        while True:
            for watched in self._due():
                try:
                    watched.alarm()
                except Exception as error:
                    log(logging.ERROR, "The watchdog could not enforce a time budget: %s", error, error=error)
                    watched.alarm_time = time.monotonic() + 1.0
            with self._change:
                self._wakes_at = min((watched.alarm_time for watched in self._watched), default=float("inf"))
                if (wait := self._wakes_at - time.monotonic()) > 0:
                    self._change.wait(min(wait, threading.TIMEOUT_MAX))

    def _due(self) -> list[Watched]:
        now = time.monotonic()
        with self._change:
            return [watched for watched in self._watched if watched.alarm_time <= now]


@cache
def watchdog() -> Watchdog:
    """The watchdog of this process."""
    return Watchdog()
