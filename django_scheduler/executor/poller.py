"""The poller: an executor sleeps until functions are due, and learns in which lanes.

One thread of an executor at a time looks for due functions and claims: the one that has the claim lock. The others
wait for the lock, or execute. So an idle executor asks the database with one thread however many it has, and its
threads never compete for the same row.

A look at everything enters the index of pending functions once for each lane, and comes before every sleep. Polling is
the truth: whatever else is said here is believed for a limited time, and a wake-up that is lost, late or wrong costs no
more than that time, or a look. This is what is believed, and for how long:

* *That nothing is due*, after a look has found nothing, for the poll interval from then on: except for the lanes that
  the look has found to be due later, which are due when their time has come, and for what wake-ups name. So when a
  wake-up names one function, or a lane's time comes, it is claimed without another look, which would take longer than
  the claim. (On PostgreSQL that is a moment before the time, and the claim waits for it.) A claim that
  says what follows in its lane leaves the belief as it is, so functions that are due one after the other need no look
  in between. Any other claim in a lane ends it, as do any other wake-up, several named functions at once, a claim that
  finds nothing, and an error; then a look follows. Nothing of a higher priority is passed over that has been named
  or whose time has come. What a wake-up has named that was lost waits for the poll interval, and so does what none
  names: that a row was changed by hand, or left by an executor that is gone.
* *That a few lanes are the only ones that are due*, as those with backlogs are, after two looks have said so, for
  ``TRUST`` seconds. They are not looked at meanwhile. A wake-up that names a function in them changes nothing;
  anything else ends it.
* *What a look has found that took long*, because there are many lanes, or many entries of the index whose functions
  have ended (they stay as long as somebody's snapshot may still see them pending). For ten times as long as the look
  has taken, and half a second at most, only the lanes from which something was claimed are looked at again, each from
  where it began. What that cannot see (a lane that is new; a function that was scheduled earlier, but has been
  committed later) is seen by the next look.
* *That nothing is due before what a look has found first*, if a look at everything has taken long. The next looks begin
  there, and read none of those entries (150,000 of them: 0.4 ms on PostgreSQL 18, 4 on 15, instead of 16 to 27). What
  that cannot see (a function that was committed late; one that an executor has left that is gone) is seen before every
  sleep, and after a hundred times as long as that look has taken, or the poll interval if that is shorter.

That a queue is paused is never believed from an earlier look: each claim asks. Only that it is logged waits for a look.

A thread that has claimed releases the lock and executes. Only after it has claimed a large group of mutations it keeps
the lock for a moment more (``GroupSize`` knows when), because threads that run short bodies at the same time take
Python's one lock from each other: with eight threads on PostgreSQL 1,600 inserts a second, and 2,700 like this. So the
next thread begins when these bodies have run, and what is left is to wait for COMMIT; or after a limited time, as
bodies may wait too. One that claims actions does so for all that wait for the lock, and keeps it until these have them.
"""

import logging
import time
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from threading import Event, Lock
from typing import Any

from django_scheduler.conf import get_settings
from django_scheduler.databases import (
    Claimable,
    Database,
    DriverTime,
    DueFunction,
    Lane,
    LaneKey,
    Left,
    django_internals,
)
from django_scheduler.executor.answer_timeout import awaiting_answer
from django_scheduler.executor.claim_policy import LeftToOthers, PutOff
from django_scheduler.telemetry import log_of_executors as log

#: For how long lanes that were alone in being due twice in a row are taken to be so, in seconds, and how many at most.
TRUST, MOST_TRUSTED = 0.5, 50

#: A look that took longer is repeated only after ten times as long, but at least twice a second; one that reads lanes
#: from their beginnings only after a hundred times as long.
LONG_LOOK, LONGEST_REST, RESTS_FROM_BEGINNING = 0.01, 0.5, 100

#: How often due functions that others have locked are looked at again, in seconds. There is no wake-up when
#: an executor elsewhere dies and its locks go.
LOCKED_INTERVAL = 0.5

#: How often it is looked whether there is something else to do than what another worker does, in seconds.
BUSY_INTERVAL = 0.05

#: How many named functions are remembered: one that comes from this process comes once more through the database.
REMEMBERED = 20


class Until(Enum):
    """Says when an executor stops by itself."""

    #: Never.
    STOPPED = auto()
    #: When nothing is due and nothing is running.
    NOTHING_DUE = auto()
    #: When nothing is pending and nothing is running.
    NOTHING_PENDING = auto()


@dataclass(eq=False)
class Poller:
    """Finds the lanes that have due functions. Only the thread that has the claim lock uses it.

    ``queues``: serve only these; empty: every queue. ``executing_ids`` returns what the executor is executing, and
    ``put_off`` and ``left_to_others`` know what else it passes over. ``may_end`` returns whether nothing else than what
    is executing keeps the executor from ending by itself.
    """

    database: Database
    queues: Collection[str]
    until: Until
    stopping: Event
    executing_ids: Callable[[], Collection[int]]
    put_off: PutOff
    left_to_others: LeftToOthers
    may_end: Callable[[], bool] = lambda: True

    def __post_init__(self) -> None:
        self._paused_queues: set[str] = set()
        self._woken = Event()
        self._has_news = False
        #: What wake-ups have named and has not been looked for since; and the last ones of which that was so.
        self._named: list[DueFunction] = []
        self._heard_of: deque[DueFunction] = deque(maxlen=REMEMBERED)
        self._hearing = Lock()
        #: Until when it is believed that nothing is due but what ``_not_due`` and ``_named`` tell. All times here
        #: are by ``time.monotonic()`` as ``due_lanes`` reads it: libraries that freeze time freeze it in some frames.
        self._idle_until = 0.0
        self._only_lanes: dict[LaneKey, Lane] = {}
        self._trusted_until = 0.0
        #: Whether the lanes that were returned last are those of a look, and whether the executor was idle before it.
        self._has_looked = self._was_idle = False
        #: What the last look has found to be due later, in the order in which to serve it, and when that look began.
        self._not_due: list[Lane] = []
        self._looked_at = 0.0
        #: How long before its time a lane that is due later is claimed, in seconds.
        self._ahead = 0.0
        #: When a claim without a look has begun, and ``_idle_until`` before it.
        self._claims_at = self._was_idle_until = 0.0
        #: What the last look at everything has found, also in the order in which to serve it; until when only lanes are
        #: looked at again from which something was claimed since, and which ones these are.
        self._known_lanes: dict[LaneKey, Lane] = {}
        self._in_order: list[Lane] = []
        self._only_known_until = 0.0
        self._claimed_from: set[LaneKey] = set()
        #: When what the last look has found is due first, and until when looks begin there.
        self._first_due_time: DriverTime | None = None
        self._begin_there_until = 0.0

    def wake_up(self, due_function: DueFunction | None = None) -> None:
        """Look again: something may be due, or it is time to stop. Called by any thread.

        ``due_function``: what has become due, where that is all that has happened.
        """
        if due_function is None:
            self._has_news = True
        elif not self._is_new(due_function):
            return
        self._woken.set()

    def _is_new(self, due_function: DueFunction) -> bool:
        """Note what a wake-up has named; return whether it had not been before, and is in a queue that is served."""
        if self.queues and due_function.queue not in self.queues:
            return False
        with self._hearing:
            if due_function in self._heard_of:
                return False
            if len(self._named) >= REMEMBERED:
                self._has_news = True  # while all workers execute, nobody takes note of them, and they would pile up
                return True
            self._heard_of.append(due_function)
            self._named.append(due_function)
        return True

    def function_ended(self) -> None:
        """Look again if the executor stops by itself: a function has ended, and perhaps it was the last one."""
        if self.until is not Until.STOPPED:
            self._woken.set()

    def due_lanes(self) -> list[Lane] | None:
        """Sleep until something is due, and return the lanes with due functions in the order in which to serve them.

        What is executing is passed over. Return ``None`` if there is nothing left to do.
        """
        was_woken = True
        while not self.stopping.is_set():
            # Before anything is read, so that what is scheduled from now on wakes it again.
            self._woken.clear()
            self._claims_at = time.monotonic()
            due = self._known_due(self._claims_at)
            if due is None or not (due or was_woken):
                self._has_news = False
                with self._hearing:
                    self._named = []  # all of that has been committed, so the look sees it
                # Before looking: what is executed now may schedule more and end while we look.
                executing_ids = self.executing_ids()
                self._was_idle = not executing_ids and self.may_end()
                began = time.monotonic()
                due = self._look([*executing_ids, *self.put_off.ids], began)
                self._learn(due, began, ended=time.monotonic())
                if not due and self._was_idle and self._is_finished():
                    return None
            else:
                self._has_looked = False
            if due:
                return due
            self._expect_claim()
            now = time.monotonic()
            passed = now - self._looked_at + self._ahead
            at_most = [self._idle_until - now] if self._idle_until else []
            was_woken = self._sleep(*at_most, *(lane.due_in - passed for lane in self._not_due))
        return None

    def claims_in(self, lanes: Sequence[Lane]) -> None:
        """Note that functions of these lanes are being claimed: what was known of them is not known any more."""
        if lanes[0].due_time is None:
            with self._hearing:
                self._named = [each for each in self._named if each.id != lanes[0].first_id]
            return
        self._was_idle_until, self._idle_until = self._idle_until, 0.0
        self._claimed_from.update(map(_key, lanes))

    def claimed_up_to(self, lanes: Sequence[Lane], claimed: Sequence[Claimable], *, were_all: bool) -> None:
        """Begin with the last of these in its lane until the next look: what was due before is claimed."""
        if were_all and len(self._only_lanes) > 1:
            self._only_lanes = {}  # some of the lanes have nothing more
        elif only := self._only_lanes:
            for (queue, tenant), last in {(each.queue, each.tenant): each for each in claimed}.items():
                lane = only.get((queue, lanes[0].priority, tenant))
                if lane and lane.due_time is not None:
                    due_in = lane.due_in + self.database.elapsed(lane.due_time, last.due_time).total_seconds()
                    only[_key(lane)] = replace(lane, due_in=due_in, due_time=last.due_time, first_id=last.id)
        if lanes[0].only_first and (followers := claimed[-1].followers) is not None:
            self._is_followed_by(lanes[0], followers)

    def _is_followed_by(self, lane: Lane, followers: Sequence[Lane]) -> None:
        """Go on to believe what was believed before the claim, and know what follows in its lane."""
        self._idle_until = self._was_idle_until
        self._not_due = [each for each in self._not_due if _key(each) != _key(lane)]
        passed = self._claims_at - self._looked_at
        for each in followers:
            due_in = each.due_in + passed if each.due_in > 0 else 0.0
            insort(self._not_due, replace(each, due_in=due_in, only_first=False), key=_order)

    def found_all_locked(self, due: list[Lane]) -> None:
        """Sleep after every due function was found locked; or stop the executor, if it ends when nothing is due."""
        self._only_lanes = {}
        self._idle_until = self._only_known_until = self._begin_there_until = 0.0
        if not self._has_looked:
            return  # not before having looked elsewhere
        if self.until is Until.NOTHING_DUE and self._was_idle:  # else they were perhaps locked by what has ended since
            self.stopping.set()
            return
        with awaiting_answer():
            later = [self.database.next_due_in(lane) for lane in due[:MOST_TRUSTED]]
        self._sleep(
            LOCKED_INTERVAL,
            *(seconds for seconds in later if seconds is not None),
            *(lane.due_in for lane in self._not_due),
        )

    def wait_for_news(self) -> None:
        """Sleep until something is scheduled or has failed, but not for long."""
        self._only_lanes = {}
        self._idle_until = 0.0
        self._sleep(BUSY_INTERVAL)

    def _known_due(self, now: float) -> list[Lane] | None:
        """Return the lanes that are due as far as is known without a look; ``None``: one is needed."""
        # Connecting takes 5 ms and the first statement of a session 2 more, so it looks before it sleeps.
        if self._has_news or django_internals.driver_of(self.database.connection) is None:
            return None
        with self._hearing:
            named = tuple(self._named)
        if self._only_lanes and now < self._trusted_until:
            are_in_these = all(_key(each) in self._only_lanes for each in named)
            return sorted(self._only_lanes.values(), key=_order) if are_in_these else None
        if now >= self._idle_until:
            return None
        passed = now - self._looked_at
        due = _due(self._not_due, passed)
        if not named:
            due = due or sorted(_due(self._not_due, passed + self._ahead), key=lambda lane: lane.due_in)[:1]
            # One that was due already when it became known may have a backlog.
            return [replace(due[0], only_first=True)] if len(due) == 1 and due[0].due_in > 0 else due
        return [_lane_of(named[0])] if len(named) == 1 and not due else None

    @awaiting_answer()
    def _expect_claim(self) -> None:
        ahead = self.database.expect_claim()
        # Only the claim of a first function waits for its time: not one after a look, or where some are left to others.
        self._ahead = ahead if self._idle_until and self.left_to_others.passed_over is None else 0.0

    @awaiting_answer()
    def _look(self, besides: Collection[int], now: float) -> list[Lane]:
        """Look, and return the lanes that are due, in the order in which to serve them."""
        self.database.connection.ensure_connection()  # which is not what makes a look long
        left = self.left_to_others.passed_over
        if now < self._only_known_until:
            passed = now - self._looked_at
            self._look_again(passed, besides, left)
            if due := _due(self._in_order, passed):
                self._has_looked = False
                return due
        if now < self._begin_there_until and (due := self._look_at_all(now, besides, left, self._first_due_time)):
            return due
        return self._look_at_all(now, besides, left)

    def _look_at_all(
        self, now: float, besides: Collection[int], left: Left | None, since: DriverTime | None = None
    ) -> list[Lane]:
        """Look at all lanes; ``since``: only at what is due then or later."""
        began = time.monotonic()
        lanes = self.database.lanes(besides=besides, left=left, since=since)
        took = time.monotonic() - began
        self._paused_queues.intersection_update(lane.queue for lane in lanes)  # what has nothing pending is forgotten
        self._in_order = sorted(self._served(lanes), key=_order)
        self._known_lanes = {_key(lane): lane for lane in self._in_order}
        self._looked_at = now
        self._claimed_from.clear()
        self._has_looked = since is None
        self._first_due_time = min((lane.due_time for lane in lanes if lane.due_time is not None), default=None)
        if took > LONG_LOOK or since is not None:
            self._only_known_until = now + took + min(10 * took, LONGEST_REST)
        if since is None:
            rest = min(RESTS_FROM_BEGINNING * took, poll_interval(self.database)) if lanes and took > LONG_LOOK else 0.0
            self._begin_there_until = now + took + rest
        return _due(self._in_order, 0.0)

    def _look_again(self, passed: float, besides: Collection[int], left: Left | None) -> None:
        """Look at the lanes from which something was claimed, so many seconds after the last look at everything."""
        lanes = [self._known_lanes.pop(key) for key in self._claimed_from if key in self._known_lanes]
        for lane in lanes:  # to sort 2,000 lanes each time takes two milliseconds
            del self._in_order[bisect_left(self._in_order, _order(lane), key=_order)]
        if lanes:
            for lane in self._served(self.database.look_again(lanes, besides=besides, left=left)):
                if _key(lane) in self._claimed_from:
                    self._known_lanes[_key(lane)] = known = replace(lane, due_in=lane.due_in + passed)
                    insort(self._in_order, known, key=_order)
        self._claimed_from.clear()

    def _served(self, lanes: list[Lane]) -> list[Lane]:
        """Return the lanes that this executor serves: those of its queues that are not paused."""
        if self.queues:
            lanes = [lane for lane in lanes if lane.queue in self.queues]
        for lane in lanes:
            if lane.is_paused != (lane.queue in self._paused_queues):
                self._note_pause(lane)
        return [lane for lane in lanes if not lane.is_paused]

    def _note_pause(self, lane: Lane) -> None:
        """Log, once, that the queue has been paused or resumed."""
        if lane.is_paused:
            self._paused_queues.add(lane.queue)
            message = "The queue %r is paused: what is due in it waits until it is resumed"
            log(logging.WARNING, message, lane.queue, queue=lane.queue)
        else:
            self._paused_queues.remove(lane.queue)
            log(logging.INFO, "The queue %r is served again", lane.queue, queue=lane.queue)

    def _learn(self, due: list[Lane], began: float, *, ended: float) -> None:
        """Learn from a look for how long what it has found is to be believed."""
        passed = began - self._looked_at
        self._not_due = [lane for lane in self._in_order if lane.due_in > passed]
        self._idle_until = 0.0
        if not due and self.until is Until.STOPPED:
            self._idle_until = began + min(poll_interval(self.database), self.put_off.seconds)
        only = {_key(lane): lane for lane in due} if len(due) <= MOST_TRUSTED else {}
        again, self._only_lanes = only and self._only_lanes.keys() == only.keys(), only
        trust = min([TRUST, *(lane.due_in - passed for lane in self._not_due)]) if again else 0.0
        self._trusted_until = ended + trust

    def _is_finished(self) -> bool:
        is_nothing_pending = not (self._known_lanes or self.put_off.ids)
        return self.until is Until.NOTHING_DUE or (self.until is Until.NOTHING_PENDING and is_nothing_pending)

    def _sleep(self, *at_most: float) -> bool:
        """Sleep until woken, and no longer than so many seconds; return whether it was woken."""
        seconds = min([poll_interval(self.database), self.put_off.seconds, *at_most])
        return self.stopping.is_set() or self._woken.wait(max(0.0, seconds))  # stopping's wake-up may have been cleared


def poll_interval(database: Database) -> float:
    """Return how often an idle executor looks for due functions although nothing has woken it, in seconds."""
    configured = get_settings().POLL_INTERVAL
    return configured.total_seconds() if configured else database.poll_interval


def _key(lane: Lane | DueFunction) -> LaneKey:
    return lane.queue, lane.priority, lane.tenant


def _lane_of(due_function: DueFunction) -> Lane:
    """Return a lane of which only this function is known."""
    return Lane(*_key(due_function), 0.0, None, due_function.id, is_paused=False)


def _due(lanes: Sequence[Lane], passed: float) -> list[Lane]:
    """Return those of the lanes that are due so many seconds after the look, in the same order."""
    return [lane for lane in lanes if lane.due_in <= passed]


def _order(lane: Lane) -> tuple[Any, ...]:
    return -lane.priority, lane.due_time, lane.first_id
