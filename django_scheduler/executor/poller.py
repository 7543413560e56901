"""The poller: an executor sleeps until functions are due, and learns in which lanes.

One thread of an executor at a time looks for due functions and claims: the one that has the claim lock. The others
wait for the lock, or execute. So an idle executor asks the database with one thread however many it has, and its
threads never compete for the same row.

A look at everything enters the index of pending functions once for each lane. Whatever has finished since stays in
that index while somebody's snapshot may still see it pending, and then such a look takes long. For a while after one
that did, only the lanes that are known are looked at again, each from where it began, which skips what has finished.
What that cannot see (a lane that is new; a function that was scheduled earlier, but has been committed later) is seen
by the next look at everything, which also comes before every sleep; only the short one (``LOCKED_INTERVAL``), after all
due functions were found locked, may come before it.

The poller sleeps until the next due time it knows of, until it is woken (something was scheduled), or for the poll
interval, whichever comes first. Only that a lane is the only one that is due is believed for ``TRUST`` seconds. A
wake-up for nothing costs one look, and one that gets lost costs at most a poll interval.

A thread that has claimed releases the lock and executes. Only after it has claimed a large group of mutations it keeps
the lock for a moment more, because threads that run short bodies at the same time take Python's one lock from each
other (measured on PostgreSQL with eight threads: 1,600 inserts a second, and 2,700 like this). So the next thread
begins when these bodies have run, and what is left is to wait for COMMIT. But one of the bodies may wait as well, for
anything and for any time. So the lock is kept for a limited time only, and then the next thread that waits takes it.
(``GroupSize`` in ``claim_policy.py`` knows when it is kept.)
"""

import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum, auto
from threading import Condition, Event
from typing import Any

from django_scheduler.conf import get_settings
from django_scheduler.databases import Database, Lane
from django_scheduler.executor.answer_timeout import awaiting_answer
from django_scheduler.executor.claim_policy import LeftToOthers, PutOff
from django_scheduler.telemetry import log_of_executors as log

#: A lane that was alone in being due twice in a row, as one with a backlog is, is taken to be so for so many seconds,
#: and not looked at. A pause takes effect within that time at the latest.
TRUST = 0.5

#: A look at everything that took longer is repeated only after ten times as long, but at least twice a second.
LONG_LOOK, LONGEST_REST = 0.02, 0.5

#: How often due functions that others have locked are looked at again, in seconds. There is no wake-up when
#: an executor elsewhere dies and its locks go.
LOCKED_INTERVAL = 0.5


#: How often it is looked whether there is something else to do than what another worker does, in seconds.
BUSY_INTERVAL = 0.05


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
    ``put_off`` and ``left_to_others`` know what else it passes over.
    """

    database: Database
    queues: Collection[str]
    until: Until
    stopping: Event
    executing_ids: Callable[[], Collection[int]]
    put_off: PutOff
    left_to_others: LeftToOthers

    def __post_init__(self) -> None:
        self._paused_queues: set[str] = set()
        self._woken = Event()
        self._has_news = False
        self._only_lane: Lane | None = None
        self._trusted_until = 0.0
        self._has_looked = False
        self._not_due: list[Lane] = []
        self._known_lanes: list[Lane] = []
        self._only_known_until = 0.0

    def wake_up(self) -> None:
        """Look again: something may be due, or it is time to stop. Called by any thread."""
        self._has_news = True
        self._woken.set()

    def function_ended(self) -> None:
        """Look again if the executor stops by itself: a function has ended, and perhaps it was the last one."""
        if self.until is not Until.STOPPED:
            self._woken.set()

    def due_lanes(self) -> list[Lane] | None:
        """Sleep until something is due, and return the lanes with due functions in the order in which to serve them.

        What is executing is passed over. Return ``None`` if there is nothing left to do.
        """
        while not self.stopping.is_set():
            if self._only_lane and not self._has_news and time.monotonic() < self._trusted_until:
                self._has_looked = False
                return [self._only_lane]
            # Before looking, so that what is scheduled from now on wakes it again.
            self._has_news = False
            self._woken.clear()
            # Likewise: what is executed now may schedule more and end while we look.
            executing_ids = self.executing_ids()
            lanes = self._look([*executing_ids, *self.put_off.ids])
            due = _due(lanes)
            self._not_due = [lane for lane in lanes if lane.due_in > 0]
            self._has_looked = True
            self._trust(due)
            if due:
                return due
            if not executing_ids and self._is_finished(lanes):
                return None
            self._sleep()
        return None

    def found_all_locked(self, due: list[Lane]) -> None:
        """Sleep after every due function was found locked; or stop the executor, if it ends when nothing is due."""
        self._only_lane = None
        self._only_known_until = 0.0
        if not self._has_looked:
            return  # not before having looked elsewhere
        if self.until is Until.NOTHING_DUE and not self.executing_ids():
            self.stopping.set()
            return
        with awaiting_answer():
            later = [self.database.next_due_in(lane) for lane in due]
        self._sleep(LOCKED_INTERVAL, *(seconds for seconds in later if seconds is not None))

    def wait_for_news(self) -> None:
        """Sleep until something is scheduled or has failed, but not for long."""
        self._only_lane = None
        self._sleep(BUSY_INTERVAL)

    def claimed_up_to(self, lane: Lane, due_time: Any) -> None:
        """Begin here in this lane until the next look: what was due before is claimed."""
        if self._only_lane is not None and _is_same(self._only_lane, lane):
            self._only_lane = replace(self._only_lane, due_time=due_time)

    @awaiting_answer()
    def _look(self, besides: Collection[int]) -> list[Lane]:
        self.database.connection.ensure_connection()  # which is not what makes a look long
        left = self.left_to_others.passed_over
        began = time.monotonic()
        if began < self._only_known_until:
            lanes = self._served(self.database.look_again(self._known_lanes, besides=besides, left=left))
            if _due(lanes):
                return lanes
        self._known_lanes = self._served(self.database.lanes(besides=besides, left=left))
        ended = time.monotonic()
        if ended - began > LONG_LOOK:
            self._only_known_until = ended + min(10 * (ended - began), LONGEST_REST)
        return self._known_lanes

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

    def _trust(self, due: list[Lane]) -> None:
        before, self._only_lane = self._only_lane, due[0] if len(due) == 1 else None
        again = before and self._only_lane and _is_same(before, self._only_lane)
        trust = min([TRUST, *(lane.due_in for lane in self._not_due)]) if again else 0.0
        self._trusted_until = time.monotonic() + trust

    def _is_finished(self, lanes: list[Lane]) -> bool:
        if self.until is Until.STOPPED:
            return False
        return self.until is Until.NOTHING_DUE or not (lanes or self.put_off.ids)

    def _sleep(self, *at_most: float) -> None:
        due_in = [lane.due_in for lane in self._not_due]
        if not self.stopping.is_set():  # whose wake-up may have been cleared
            self._woken.wait(min([self._poll_interval(), self.put_off.seconds, *at_most, *due_in]))

    def _poll_interval(self) -> float:
        configured = get_settings().POLL_INTERVAL
        return configured.total_seconds() if configured else self.database.poll_interval


def _due(lanes: list[Lane]) -> list[Lane]:
    """Return the lanes that are due, in the order in which to serve them."""
    return sorted((lane for lane in lanes if lane.due_in <= 0), key=_order)


def _is_same(one: Lane, other: Lane) -> bool:
    return (one.queue, one.priority) == (other.queue, other.priority)


def _order(lane: Lane) -> tuple[Any, ...]:
    return -lane.priority, lane.due_time, lane.first_id


NEVER = float("inf")


class ClaimLock:
    """Lets one worker at a time look for due functions and claim."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._holding: Holding | None = None

    @contextmanager
    def held(self) -> Iterator["Holding"]:
        """Wait for the lock, and hold it until it is released, or at most to the end of the block."""
        holding = self._acquire()
        try:
            yield holding
        finally:
            holding.release()

    def _acquire(self) -> "Holding":
        with self._changed:
            while self._holding and (left := self._holding.ends_at - time.monotonic()) > 0:
                self._changed.wait(None if left == NEVER else left)
            self._holding = Holding(self)
            return self._holding

    def end(self, holding: "Holding", *, after: float) -> None:
        """Release the lock, or shorten the time with it; do nothing if another thread holds it by now."""
        with self._changed:
            if self._holding is not holding:
                return
            if after:
                holding.ends_at = time.monotonic() + after
            else:
                self._holding = None
            self._changed.notify()  # one of the threads that wait takes it, or learns until when to wait


class Holding:
    """Is one worker's time with the claim lock."""

    def __init__(self, lock: ClaimLock) -> None:
        self._lock = lock
        self.ends_at = NEVER

    def release(self, *, after: float = 0.0) -> None:
        """Let another worker take the lock, now or once ``after`` seconds have passed. A second call has no effect."""
        self._lock.end(self, after=after)
