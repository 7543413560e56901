"""Putting off: what could not be recorded is not executed again at once, because it would be the first again, for ever.

How a mutation ends after its rollback is recorded by another transaction. Where the database refuses that, in whatever
form (``record`` in ``execution.py``), the row is what it was: pending, due, and the first of its lane. So this executor
passes over it for a while, each time for twice as long, and executes what comes after it. Another executor may claim
it meanwhile, and then learns the same.
"""

import time
from collections.abc import Collection, Iterable

from django_scheduler.models import ScheduledFunctionId
from django_scheduler.transactions import DoublingWait

#: For how long a function is passed over first, and at most, in seconds.
FIRST, LONGEST = 0.5, 60.0


class PutOff:
    """Knows which functions are put off, and until when, by ``time.monotonic()``."""

    def __init__(self) -> None:
        self._until: dict[ScheduledFunctionId, float] = {}
        self._waits: dict[ScheduledFunctionId, DoublingWait] = {}

    def add(self, ids: Iterable[ScheduledFunctionId]) -> float:
        """Put functions off, and return for how long at most, in seconds."""
        self._forget_what_is_long_over()
        longest = 0.0
        for function_id in ids:
            wait = self._waits.setdefault(function_id, DoublingWait(first=FIRST, longest=LONGEST)).next()
            self._until[function_id] = time.monotonic() + wait
            longest = max(longest, wait)
        return longest

    def forget(self, ids: Iterable[ScheduledFunctionId]) -> None:
        """Forget functions whose end is on record by now."""
        if self._waits:  # nearly never
            for function_id in ids:
                self._until.pop(function_id, None)
                self._waits.pop(function_id, None)

    def _forget_what_is_long_over(self) -> None:
        long_ago = time.monotonic() - LONGEST
        self.forget([function_id for function_id, until in list(self._until.items()) if until < long_ago])

    @property
    def ids(self) -> Collection[ScheduledFunctionId]:
        """Return what is to be passed over now."""
        if not self._until:
            return []
        now = time.monotonic()
        return [function_id for function_id, until in list(self._until.items()) if until > now]

    @property
    def seconds(self) -> float:
        """Return for how long the first of them is still put off, or infinity."""
        now = time.monotonic()
        return min((until - now for until in list(self._until.values()) if until > now), default=float("inf"))
