"""The progress bar of ``runscheduler --drain``, on a terminal."""

import time

from django.core.management.base import OutputWrapper

from django_scheduler.models import ScheduledFunction, State

#: How often it is drawn, in seconds: each time counts what is pending.
INTERVAL = 0.5

WIDTH = 30


class Progress:
    def __init__(self, using: str, output: OutputWrapper) -> None:
        self._pending = ScheduledFunction.objects.using(using).filter(state=State.PENDING)
        self._output = output
        self._most = 0
        self._drawn = float("-inf")

    def show(self) -> None:
        """Draw it, if it is time to."""
        if time.monotonic() - self._drawn >= INTERVAL:
            self._draw(self._pending.count())

    def finish(self) -> None:
        """Draw it a last time, and leave the line."""
        self._draw(self._pending.count())
        self._output.write("")

    def _draw(self, pending: int) -> None:
        self._most = max(self._most, pending)
        done = self._most - pending
        filled = WIDTH * done // self._most if self._most else WIDTH
        bar = "#" * filled + "." * (WIDTH - filled)
        self._output.write(f"\r[{bar}] {done} of {self._most} done, {pending} pending ", ending="")
        self._output.flush()
        self._drawn = time.monotonic()
