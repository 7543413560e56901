"""A bar on a terminal shows the progress of ``runscheduler --drain``, and of commands that know how much there is."""

import time
from collections.abc import Collection

from django.core.management.base import OutputWrapper
from django.db import DatabaseError, InterfaceError

from django_scheduler.executor import run_in_background
from django_scheduler.models import IS_UNFINISHED, ScheduledFunction

#: How often it is drawn, in seconds: each time counts what is left.
INTERVAL = 0.5

WIDTH = 30

#: For how long a count may take before the bar is not drawn, in seconds.
COUNT_TIMEOUT = 1.0


def show_bar(output: OutputWrapper, done: int, of: int) -> None:
    """Draw a bar over the one that was drawn before."""
    filled = WIDTH * done // of if of else WIDTH
    bar = "#" * filled + "." * (WIDTH - filled)
    output.write(f"\r[{bar}] {done} of {of} done, {of - done} left ", ending="")
    output.flush()


class Progress:
    """Shows how much of what was unfinished has finished, counted now and then."""

    def __init__(self, using: str, queues: Collection[str], output: OutputWrapper) -> None:
        self._functions = ScheduledFunction.objects.using(using).filter(IS_UNFINISHED)
        if queues:
            self._functions = self._functions.filter(queue__in=queues)
        self._output = output
        self._left = 0
        self._most = 0
        self._drawn = float("-inf")

    def show(self) -> None:
        """Draw the bar, if it was not drawn just now."""
        if time.monotonic() - self._drawn >= INTERVAL:
            self._draw()

    def finish(self) -> None:
        """Draw the bar a last time, and end its line."""
        self._draw()
        self._output.write("")

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        try:
            run_in_background(self._count, timeout=COUNT_TIMEOUT)
        except (DatabaseError, InterfaceError, TimeoutError):
            return  # the executor goes on, and says what is the matter
        self._most = max(self._most, self._left)
        show_bar(self._output, self._most - self._left, self._most)

    def _count(self) -> None:
        self._left = self._functions.count()
