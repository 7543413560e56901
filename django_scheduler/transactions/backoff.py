"""Backoff: how long to wait before trying again.

``backoff`` is the wait of a function that has met a transient error, or in whose body a process has ended: its row
counts these, and is due again that much later. ``DoublingWait`` is the wait of code that tries again by itself: after
an error, or to start a child process again.
"""

import random
from datetime import timedelta

from django_scheduler.conf import get_settings


class DoublingWait:
    """Counts the seconds to wait before each new try: ``first``, then each time twice as long, up to ``longest``.

    Example::

        wait = DoublingWait(first=0.1, longest=2.0)
        while not database_answers():
            time.sleep(wait.next())
    """

    def __init__(self, *, first: float, longest: float) -> None:
        self._first = self._next = first
        self._longest = longest

    def next(self) -> float:
        """Return how long to wait now, in seconds."""
        wait = self._next
        self._next = min(wait * 2, self._longest)
        return wait

    def reset(self) -> None:
        """Begin with the first wait again: a try has succeeded."""
        self._next = self._first


def backoff(attempts: int) -> timedelta:
    """Return the wait after so many attempts: it doubles up to a maximum, and has full jitter.

    Full jitter (anything from nothing to the whole) spreads best what failed together; see Marc Brooker,
    "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    settings = get_settings()
    doublings = min(attempts - 1, 62)  # beyond that the maximum has long been reached, and a timedelta's range too
    seconds = settings.BACKOFF_INITIAL.total_seconds() * 2.0**doublings
    return timedelta(seconds=min(seconds, settings.BACKOFF_MAXIMUM.total_seconds()) * random.random())
