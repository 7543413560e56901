"""The limit watch lets in what waits for limits and was not let in by the end of a body: see ``limits.py``.

It asks nothing as long as nothing waits that this executor knows of. What it finds is due again, and claimed as
anything else is.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import TypeVar

from django.db import DatabaseError, transaction

from django_scheduler.databases import Database, WantedSlots
from django_scheduler.executor.answer_timeout import awaiting_nothing
from django_scheduler.executor.session import in_session
from django_scheduler.executor.threads import side_task
from django_scheduler.functions import registry, without_values
from django_scheduler.record import let_in, let_in_expired

#: How often an executor looks whether what waits may be let in: at first and at most, in seconds, and as a share of the
#: time for which it has waited.
FIRST_INTERVAL, LONGEST_INTERVAL, SHARE = 0.02, 1.0, 0.1

#: For how long it lets in no more of a limit than there are slots, in seconds. After that it lets in one more, and
#: twice as many with each second: what has been let in may be in a queue that is paused, or that nobody serves.
PATIENCE = 2.0

#: How often it lets in what has expired, in seconds.
EXPIRY_INTERVAL = 1.0

#: For how many times as long as a look has taken there is no other one: if something has happened, if not, and for what
#: has expired, which reads all that waits. (There the shorter of the last two looks counts: one may have taken long
#: because the database or the machine was busy.)
RESTS_OF_SOON_LOOKS, RESTS_OF_LOOKS, RESTS_OF_EXPIRY = 3, 20, 100

#: For how long there is no other look at most, in seconds: one may have taken long because the database did not answer.
LONGEST_REST = 2.0

#: How many are let in at once, of one limit or because they have expired, and for how many limits it looks at once.
MOST_LET_IN, MOST_LIMITS = 100, 1_000


L = TypeVar("L")


class LimitWatch:
    """Looks after what waits for limits, as long as anything does that this executor knows of."""

    def __init__(self, database: Database, stopping: threading.Event) -> None:
        self._database = database
        self._stopping = stopping
        self._when_settled: Callable[[], None] = lambda: None
        #: Whether to look soon.
        self._noted = threading.Event()
        #: Guards what follows a note, and what follows a look.
        self._lock = threading.Lock()
        #: How many notes there have been: a look that has begun before may know nothing of the last ones.
        self._notes = 0
        #: When it lets in what has expired the next time, by ``time.monotonic()``.
        self._expiry_at = float("-inf")
        #: How long it took to look for that the last time, in seconds.
        self._expiry_took = 0.0
        #: Behind which limit the next look begins; empty: with the first one.
        self._after = ""
        #: Since when so many have been let in of a limit and have not begun that there is a slot for each.
        self._stuck_since: dict[str, float] = {}
        #: When a rate limit has a free slot again that had none at the last look, by ``time.monotonic()``.
        self._next_free_at = inf
        #: Whether anything waits, as far as is known.
        self._is_watching = False
        #: Whether nothing of what the last look was for could begin, and nothing has happened since.
        self.is_settled = True

    def something_waits(self) -> None:
        """Look soon. Called by any thread."""
        with self._lock:
            self._notes += 1
            self._is_watching, self.is_settled = True, False
            self._noted.set()

    def remind(self) -> None:
        """Look soon, if it was not known that anything waits."""
        if not self._is_watching:
            self.something_waits()

    def slots_are_free(self) -> None:
        """Look soon if anything waits: a function has ended that had a slot, and has let in nobody."""
        if self._is_watching:
            self.something_waits()

    def when_settled(self, call: Callable[[], None]) -> None:
        """Call this after each look that could let in nothing."""
        self._when_settled = call

    def stop(self) -> None:
        """Wait for nothing more; ``stopping`` is set."""
        self._noted.set()

    def side_task(self) -> threading.Thread:
        """Return the thread that looks, until ``stopping`` is set and ``stop`` is called."""

        def look() -> None:
            self._noted.wait()
            if not self._stopping.is_set():
                try:
                    in_session(self._database, self._look_until_nothing_waits)()
                except BaseException:
                    self._noted.set()  # the side task is repeated, and what it was to look for still waits
                    raise

        return side_task("limits", look, interval=FIRST_INTERVAL, stopping=self._stopping)

    def _look_until_nothing_waits(self) -> None:
        began = time.monotonic()
        while not self._stopping.is_set():
            now = time.monotonic()
            if self._noted.is_set():
                began = now
                self._noted.clear()
            if not self._look(now):
                return
            took = time.monotonic() - now
            interval = min(LONGEST_INTERVAL, max(FIRST_INTERVAL, SHARE * (now - began)))
            with awaiting_nothing():
                self._stopping.wait(min(LONGEST_REST, max(FIRST_INTERVAL, RESTS_OF_SOON_LOOKS * took)))
                rest = min(LONGEST_REST, max(interval, RESTS_OF_LOOKS * took))
                self._noted.wait(max(0.0, min(rest, self._next_free_at - time.monotonic())))

    def _look(self, now: float) -> bool:
        """Let in what may begin, and return whether to go on."""
        notes = self._notes
        try:
            limits, is_all = self._next_limits()
            number = self._let_in(limits, now)
            if limits and now >= self._expiry_at:
                number += self._let_in_expired()
        except DatabaseError as error:
            if self._database.is_conflict(error):
                return True  # somebody else has let them in
            raise
        with self._lock:
            if self._notes != notes:
                return True
            self._is_watching, self.is_settled = bool(limits) or not is_all, not number
        if not number:
            self._when_settled()
        return self._is_watching

    def _next_limits(self) -> tuple[list[str], bool]:
        """Return limits that functions wait for, so many at most, and whether there are no others."""
        after, self._after = self._after, ""
        limits = self._database.limits_waited_for(after=after, most=MOST_LIMITS)
        if len(limits) == MOST_LIMITS:
            self._after = limits[-1]
        return limits, not (after or self._after)

    def _let_in(self, limits: Sequence[str], now: float) -> int:
        """Let in as many functions as their limits have free slots, and return how many.

        Those that have been let in already and have not begun are among them, as long as ``PATIENCE`` lasts.
        """
        free = self._free_slots(limits)
        in_order = {name for name, declared in registry.limits().items() if declared.limit == 1}
        # A limit that this code does not have is one that nothing waits for.
        numbers = {limit: MOST_LET_IN for limit in limits if limit not in free}
        stuck: dict[str, float] = {}
        # Nothing is locked, or those that are let in would find that the slots are locked, and wait again.
        held_up = self._database.held_up([each for each in free if free[each] and without_values(each) in in_order])
        at_most = {each: min(number, MOST_LET_IN) for each, number in free.items() if number and each not in held_up}
        let_in_before = self._database.count_let_in(at_most)
        for limit, most in at_most.items():
            number = most - let_in_before[limit]
            if number <= 0:
                stuck[limit] = self._stuck_since.get(limit, now)
                number = _beyond(now - stuck[limit])
            if number:
                numbers[limit] = number
            if 0 < number < free[limit] - (most - number):
                self._next_free_at = now  # there are slots for more than are let in at once
        self._stuck_since = stuck
        if not numbers:
            return 0
        with transaction.atomic(using=self._database.using):
            return let_in(self._database, numbers)

    def _free_slots(self, limits: Sequence[str]) -> dict[str, int]:
        """Return how many slots those of the limits have free that this code has."""
        sizes = {limit: (name, of.limit) for limit, name, of in _declared(limits, registry.limits())}
        free = dict.fromkeys(sizes, 0) | (self._database.count_free(sizes) if sizes else {})
        rates = {
            limit: WantedSlots(limit, name, of.limit, 0, window=of.window)
            for limit, name, of in _declared(limits, registry.rate_limits())
        }
        in_use = self._database.slots_in_use(rates)
        next_in = min((each.next_in for each in in_use.values()), default=inf)
        self._next_free_at = time.monotonic() + next_in
        return free | {limit: each.free for limit, each in in_use.items()}

    def _let_in_expired(self) -> int:
        began = time.monotonic()
        with transaction.atomic(using=self._database.using):
            number = let_in_expired(self._database, most=MOST_LET_IN)
        ended = time.monotonic()
        took_before, self._expiry_took = self._expiry_took, ended - began
        self._expiry_at = ended + max(EXPIRY_INTERVAL, RESTS_OF_EXPIRY * min(took_before, self._expiry_took))
        return number


def _declared(limits: Iterable[str], declared: Mapping[str, L]) -> Iterator[tuple[str, str, L]]:
    """Yield those of the limits that are declared, with their names and what the code says."""
    for limit in limits:
        name = without_values(limit)
        if name in declared:
            yield limit, name, declared[name]


def _beyond(seconds: float) -> int:
    """Return how many more are let in than there are slots, once as many have not begun for so long."""
    return 0 if seconds < PATIENCE else min(2 ** int(min(seconds - PATIENCE, 10)), MOST_LET_IN)
