"""What an executor does not take although it is due first: what it has put off, and what belongs to a storm.

Put off: what could not be recorded is not executed again at once, because it would be the first again, for ever.

How a mutation ends after its rollback is recorded by another transaction. Where the database refuses that, in whatever
form (``record`` in ``execution.py``), the row is what it was: pending, due, and the first of its lane. So this executor
passes over it for a while, each time for twice as long, and executes what comes after it. Another executor may claim
it meanwhile, and then learns the same.

A storm: so many attempts meet transient errors that they would hold up what is healthy.

Each of them costs a claim, a rollback and a record, and none can share a transaction. All are due again soon, and
before what is scheduled meanwhile. So as long as a storm lasts, this executor takes first what is healthy, in the order
in which it is due: first attempts of functions whose last attempt has met no such error. The others are taken when
nothing else is due, by one worker at a time; and ``TURNS`` times a second, so that they are not put off for ever, in
the order of all.
"""

import threading
import time
from collections import deque
from collections.abc import Collection, Iterable

from django_scheduler.models import ScheduledFunctionId
from django_scheduler.transactions import DoublingWait

#: So many transient errors within so many seconds are a storm.
MANY, WINDOW = 20, 10.0

#: How often a second what is not healthy has its turn, although something else is due.
TURNS = 10

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


class Storm:
    """Knows whether there is a storm, and of which functions. All workers of an executor share it."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=MANY)
        self._names: set[str] = set()
        self._next_turn = 0.0
        #: Of the one worker that executes what is not healthy.
        self._place = threading.Lock()

    @property
    def is_on(self) -> bool:
        return len(self._times) == MANY and time.monotonic() - self._times[0] < WINDOW

    @property
    def names(self) -> Collection[str]:
        """Return the functions whose last attempt has met a transient error."""
        return list(self._names)

    def note(self, name: str, *, is_transient: bool) -> None:
        """Note how an attempt has ended."""
        if is_transient:
            self._times.append(time.monotonic())
            self._names.add(name)
        else:
            self._names.discard(name)

    def is_turn(self) -> bool:
        """Return whether what is not healthy has its turn now, and begin to wait for the next one."""
        now = time.monotonic()
        if now < self._next_turn or self._place.locked():
            return False
        self._next_turn = now + 1 / TURNS
        return True

    def take_place(self) -> bool:
        """Take the place of the worker that executes what is not healthy, and return whether it was free."""
        return self._place.acquire(blocking=False)

    def leave_place(self) -> None:
        """Leave the place to another worker."""
        self._place.release()
