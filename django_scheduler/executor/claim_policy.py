"""The claim policy: how many functions a worker claims at once, which it passes over, and which it claims first.

All workers of an executor share it. They learn from how what they have executed has ended.

*Group sizes.* A lane begins with groups of one member, and doubles that each time that all goes well. Sizes are learned
for each queue and priority: one with a single function teaches nothing about one with a backlog. Tenants share them:
they have the same functions, and there may be very many. Those of groups over several lanes
(``claims.py``) are learned for each priority. A function that has ended a group, failed alone, or took long runs alone
for a while. One that does what no member of a group may do runs alone for good.

*Functions that are put off.* How a mutation ends after its rollback is recorded by another transaction. Where the
database refuses that, in whatever form (``record`` in ``execution.py``), the row is what it was: pending, due, and the
first of its lane, so it would be claimed again at once, for ever. So this executor passes over it for a while, which is
twice as long each time, and executes what comes after it. Another executor may claim it meanwhile, and then learns the
same.

*Functions that are left.* This process cannot execute them, but others may (``unexecutable.py``). It passes over them
as long as the others have time.

*Retry storms.* So many attempts meet transient errors that they would hold up healthy functions: each of them costs a
claim, a rollback and a record, none can share a transaction, and all are due again soon, before what is scheduled
meanwhile. So as long as a storm lasts, this executor first claims what is healthy, in the order in which it is due: the
first attempts of functions whose last attempt has met no transient error. One worker at a time claims in the order of
all: when nothing healthy is due, and ``RETRIES_PER_SECOND`` times a second, so that nothing waits for ever.
"""

import time
from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence
from math import inf
from threading import Lock
from typing import NamedTuple

from django_scheduler.conf import get_settings
from django_scheduler.databases import Lane, Left
from django_scheduler.executor.turns import Turns
from django_scheduler.executor.unexecutable import CODE
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

#: For how many queues and priorities it is known how large their groups may be: a site may have a queue for each day.
MOST_LANES = 10_000

#: For how long something learned holds, in seconds.
FOR_A_WHILE = 10.0

#: How long a body takes that takes long, in seconds: longer than a machine that is busy makes a short one take.
LONG = 0.5

#: So many transient errors within so many seconds are a storm.
STORM_ERRORS, STORM_SECONDS = 20, 10.0

#: How often a second what is not healthy is executed although something else is due.
RETRIES_PER_SECOND = 10

#: For how long a function is passed over first, and at most, in seconds.
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0


class GroupSize:
    """Says how large the next group of a lane is: it grows with a backlog of short mutations, and otherwise shrinks."""

    _grows_from = 0.0
    _lock_not_kept_until = 0.0
    _waited = 0
    _actions_in_a_row = 0

    #: Of one lane: whether what was claimed in it last were actions, as far as is known; and whether its first function
    #: runs alone.
    is_of_actions: bool | None = None
    is_apart = False

    def __init__(self) -> None:
        #: How many to claim next.
        self.next = 1

    def to_claim(self, *, idle: int) -> int:
        """Return how many to claim next. Actions: one for each worker that could begin it now, and so many are idle."""
        return 1 + idle if self._actions_in_a_row > 1 else self.next

    def came_first(self, *, is_action: bool) -> None:
        """Learn what has come first. Once says little: where mutations follow, what was claimed besides is in vain."""
        self.is_of_actions = is_action
        self._actions_in_a_row = self._actions_in_a_row + 1 if is_action else 0

    def went_well(self, executed: int, *, asked_for: int) -> None:
        """Learn that so many were executed: as many as asked for, as there were, or as there was time for."""
        self.is_apart = False
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


class Claim(NamedTuple):
    """Says in which lanes of one priority to claim, and how many functions at most, in all and of each lane."""

    lanes: Sequence[Lane]
    #: What the size of the group is learned for.
    size: GroupSize
    most: int
    of_each: int
    #: Only what comes before the first function of that lane.
    before: Lane | None = None
    #: Whether that is the size of what is claimed in several lanes, also if one of them is enough for it.
    is_shared: bool = False


class GroupingPolicy:
    """Says how large groups may be, whose turn it is, and what runs alone, by what the workers have learned."""

    def __init__(self) -> None:
        #: Of the tenants of the queues.
        self.turns = Turns()
        self._sizes: dict[tuple[str, int], GroupSize] = {}
        self._sizes_of_several: dict[tuple[int, bool], GroupSize] = {}
        self._alone_until: dict[str, float] = {}

    def size_in(self, lane: Lane) -> GroupSize:
        """Return the size of what is claimed in that lane alone."""
        return self.size_of((lane.queue, lane.priority))

    def size_of(self, key: tuple[str, int]) -> GroupSize:
        """Return the size of what is claimed in a lane of that queue and priority."""
        size = self._sizes.get(key)
        if size is None:
            if len(self._sizes) >= MOST_LANES:
                self._sizes.clear()
            size = self._sizes[key] = GroupSize()
        return size

    def claim_in(self, lane: Lane, *, idle: int, before: Lane | None = None) -> Claim:
        """Return the claim in that lane alone."""
        size = self.size_in(lane)
        most = size.to_claim(idle=idle)
        return Claim([lane], size, most, most, before)

    def size_of_several(self, priority: int, *, are_actions: bool) -> GroupSize:
        """Return the size of what is claimed in several lanes of that priority at once."""
        return self._sizes_of_several.setdefault((priority, are_actions), GroupSize())

    def runs_alone(self, name: str) -> bool:
        """Return whether the function of that name runs alone for now."""
        until = self._alone_until.get(name)
        return until is not None and time.monotonic() < until

    def run_alone(self, name: str, *, for_good: bool = False, and_for: float = 0.0) -> None:
        """Have the function of that name run alone for a while, or as long as the process lives.

        ``and_for``: for so many seconds before that while begins.
        """
        until = inf if for_good else time.monotonic() + and_for + FOR_A_WHILE
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
            wait = self._waits.setdefault(function_id, DoublingWait(first=FIRST_WAIT, longest=LONGEST_WAIT)).next()
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
        long_ago = time.monotonic() - LONGEST_WAIT
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
        return min((until - now for until in list(self._until.values()) if until > now), default=inf)


class LeftToOthers:
    """Knows that functions were left to executors with other code, and how many of each name."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._passed_over: Left | None = None
        self._until = 0.0

    def note(self, name: str) -> None:
        """Note that a function of this name has been left."""
        grace = get_settings().UNKNOWN_FUNCTION_GRACE
        self.counts[name] += 1
        self._passed_over = Left(CODE, grace)
        self._until = time.monotonic() + grace.total_seconds()

    @property
    def passed_over(self) -> Left | None:
        """Return what to pass over; ``None``, so that no claim has to ask, once the time of the last one is over."""
        if self._passed_over and time.monotonic() > self._until:
            self._passed_over = None
        return self._passed_over


class RetryStorm:
    """Knows whether there is a retry storm, and of which functions. All workers of an executor share it."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=STORM_ERRORS)
        self._names: set[str] = set()
        self._next_retry_time = 0.0
        #: Held by the one worker that executes what is not healthy.
        self._retrying = Lock()

    @property
    def is_on(self) -> bool:
        return len(self._times) == STORM_ERRORS and time.monotonic() - self._times[0] < STORM_SECONDS

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

    def is_retry_time(self) -> bool:
        """Return whether to execute what is not healthy now, and begin to wait for the next time."""
        now = time.monotonic()
        if now < self._next_retry_time or self._retrying.locked():
            return False
        self._next_retry_time = now + 1 / RETRIES_PER_SECOND
        return True

    def start_retrying(self) -> bool:
        """Let the caller be the one worker that executes what is not healthy; return whether there was none."""
        return self._retrying.acquire(blocking=False)

    def stop_retrying(self) -> None:
        """Let another worker execute what is not healthy."""
        self._retrying.release()
