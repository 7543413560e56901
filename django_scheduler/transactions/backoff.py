"""Backoff says how long to wait before something is tried again.

``Backoff`` is the wait before a function is tried again: its row counts its failures, and is due again that much later.
``backoff`` is that of one that has met a transient error, or in whose body a process has ended. ``DoublingWait`` is the
wait of code that tries again by itself: after an error, or to start a child process again.
"""

import random
from dataclasses import dataclass
from datetime import timedelta

from django_scheduler.conf import get_settings
from django_scheduler.durations import parse_seconds


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


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Says how long to wait before the next attempt: anything from nothing to a time that doubles up to a maximum.

    ``initial``: the longest wait after the first failure. ``maximum``: the longest one after any number of them. Each
    is a ``timedelta`` or a number of seconds.

    Full jitter (anything from nothing to the whole) spreads best what failed together; see Marc Brooker,
    "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

    Raises ``TypeError`` and ``ValueError`` for what can be no wait.
    """

    initial: timedelta | float = 1
    maximum: timedelta | float = 3600

    def __post_init__(self) -> None:
        if parse_seconds(self.initial, "initial=") > parse_seconds(self.maximum, "maximum="):
            raise ValueError(f"initial= cannot be longer than maximum=: {self.initial!r} and {self.maximum!r}.")

    def longest(self, failures: int) -> timedelta:
        """Return the longest wait after so many failures."""
        initial, maximum = parse_seconds(self.initial, "initial="), parse_seconds(self.maximum, "maximum=")
        return _longest(initial, maximum, failures)

    def wait(self, failures: int) -> timedelta:
        """Return the wait after so many failures, which is another one each time."""
        return self.longest(failures) * random.random()


def backoff(attempts: int) -> timedelta:
    """Return the wait after so many attempts, by the settings."""
    settings = get_settings()
    return _longest(settings.BACKOFF_INITIAL, settings.BACKOFF_MAXIMUM, attempts) * random.random()


def _longest(initial: timedelta, maximum: timedelta, failures: int) -> timedelta:
    doublings = min(failures - 1, 62)  # beyond that any maximum has long been reached, and a timedelta's range too
    return timedelta(seconds=min(initial.total_seconds() * 2.0**doublings, maximum.total_seconds()))
