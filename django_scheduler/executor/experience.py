"""What the workers of an executor have learned: how large groups may be, what runs alone, what is put off, and storms.

Group sizes: one, and twice as many each time that it turned out well. They are learned once for a lane, whoever
meets it; a lane with a single function teaches nothing about one with a backlog. A function that has ended a group,
failed alone, or took long runs alone for a while, and one that does what no member may do for good.

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
from collections import defaultdict, deque
from collections.abc import Collection, Iterable

from django_scheduler.databases import Lane
from django_scheduler.models import ScheduledFunctionId
from django_scheduler.transactions import DoublingWait

#: The most members that a group is given.
LARGEST = 100

#: From so many members on a group is large. Groups grow only while there is time for all of their members, so those of
#: a large one take a few milliseconds each.
LARGE = 16

#: Of their time, what bodies have to spend computing for a thread beside them to slow them down more than it helps.
MUCH_COMPUTING = 1 / 3

#: After so many groups in a row whose bodies mostly waited, the claim lock is not kept for a while. More than one,
#: because beside the first of them smaller groups are still running.
TRIES = 4

#: For how long something learned holds, in seconds.
FOR_A_WHILE = 10.0

#: How long a body takes that takes long, in seconds: longer than a machine that is busy makes a short one take.
LONG = 0.5

#: So many transient errors within so many seconds are a storm.
MANY, WINDOW = 20, 10.0

#: How often a second what is not healthy has its turn, although something else is due.
TURNS = 10

#: For how long a function is passed over first, and at most, in seconds.
FIRST, LONGEST = 0.5, 60.0


class GroupSize:
    """Says how large the next group of a lane is: it grows with a backlog of short mutations, and else shrinks."""

    _grows_from = 0.0
    _lock_not_kept_until = 0.0
    _waited = 0

    def __init__(self) -> None:
        #: How many to claim next.
        self.next = 1

    def went_well(self, executed: int, *, asked_for: int) -> None:
        """Learn that so many were executed: as many as asked for, as there were, or as there was time for."""
        if executed < asked_for:
            self.next = max(executed, 1)
        elif time.monotonic() >= self._grows_from:
            self.next = max(self.next, min(2 * executed, LARGEST))

    def went_wrong(self) -> None:
        """Learn that a group was rolled back, or that what was due first cannot be part of one."""
        self.next = 1

    def cannot_grow(self) -> None:
        """Learn that nothing can share a transaction in this database, and do not try again for a while."""
        self.next = 1
        self._grows_from = time.monotonic() + FOR_A_WHILE

    def keeps_claim_lock(self, members: int) -> bool:
        """Return whether the worker of a group should keep the claim lock, because threads share Python's lock.

        Whether that helps is found out by trying, every ten seconds: beside other threads, every thread waits.
        """
        return members >= LARGE and time.monotonic() >= self._lock_not_kept_until

    def kept_claim_lock(self, computing_share: float) -> None:
        """Learn how much of their time the bodies of a group have spent computing without others beside them."""
        self._waited = self._waited + 1 if computing_share < MUCH_COMPUTING else 0
        if self._waited == TRIES:
            self._waited = 0
            self._lock_not_kept_until = time.monotonic() + FOR_A_WHILE


class Experience:
    """Remembers what the workers have learned: how large the groups of each lane may be, and what runs alone."""

    def __init__(self) -> None:
        self._sizes: defaultdict[tuple[str, int], GroupSize] = defaultdict(GroupSize)
        self._alone_until: dict[str, float] = {}

    def size_in(self, lane: Lane) -> GroupSize:
        return self._sizes[lane.queue, lane.priority]

    def runs_alone(self, name: str) -> bool:
        """Return whether the function of that name runs alone for now."""
        until = self._alone_until.get(name)
        return until is not None and time.monotonic() < until

    def run_alone(self, name: str, *, seconds: float = FOR_A_WHILE) -> None:
        """Have the function of that name run alone for a while."""
        until = time.monotonic() + seconds
        self._alone_until[name] = max(until, self._alone_until.get(name, until))

    def note_duration(self, name: str, duration: float) -> None:
        """Have the function of that name run alone for a while if it took long."""
        if duration > LONG:
            self.run_alone(name)


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
