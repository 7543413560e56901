"""The turn: which worker of an executor looks out and claims. The others wait for it, or execute.

Whoever has claimed hands the turn on and executes. Only who has claimed a large group of mutations keeps it for a
moment more, because threads that run short bodies at once take Python's one lock from each other (measured on
PostgreSQL with eight threads: 1,600 inserts a second, and 2,700 like this). So the next one begins when these bodies
have run, and what is left is to wait for COMMIT. But one of them may wait as well, for whatever and for however long.
So the turn is kept for so long only, and then whoever waits for it takes it without being given it. (``group_size.py``
knows when it is kept.)

Paused queues: an executor passes over what is due in them, and says so once.

The lookout: sleeps until something may be due, and says where.

Only the worker whose turn it is stands here; the others wait for the turn. So an idle executor asks the
database with one thread however many it has, and threads never compete for the same row.

A look at everything enters the index of pending functions once for each lane. Whatever has finished since stays in
that index while somebody's snapshot may still see it pending, and then such a look takes long. For a while after one
that did, only the lanes that are known are looked at again, each from where it began, which skips what has finished.
What that cannot see (a lane that is new; a function that was scheduled earlier, but has been committed later) is seen
by the next look at everything, which also comes before every sleep.

It sleeps until the next due time it knows of, until the bell rings (something was scheduled), or for the poll
interval, whichever comes first. Everything that it decides is read afresh from the database: a bell that rings
for nothing costs one statement, and one that fails to ring costs at most a poll interval.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from threading import Condition, Event
from typing import Any

from django_scheduler.conf import get_settings
from django_scheduler.databases import Database, Lane
from django_scheduler.telemetry import log_of_executors as log

NEVER = float("inf")


class Turn:
    def __init__(self) -> None:
        self._changed = Condition()
        self._hold: Hold | None = None

    @contextmanager
    def taken(self) -> Iterator["Hold"]:
        """Wait for the turn, and have it until it is handed on, or at most to the end of the block."""
        hold = self._take()
        try:
            yield hold
        finally:
            hold.hand_on()

    def _take(self) -> "Hold":
        with self._changed:
            while self._hold and (left := self._hold.ends_at - time.monotonic()) > 0:
                self._changed.wait(None if left == NEVER else left)
            self._hold = Hold(self)
            return self._hold

    def end(self, hold: "Hold", *, after: float) -> None:
        """Nothing if somebody else has the turn by now."""
        with self._changed:
            if self._hold is not hold:
                return
            if after:
                hold.ends_at = time.monotonic() + after
            else:
                self._hold = None
            self._changed.notify()  # one of those who wait takes it, or learns until when to wait


class Hold:
    """Somebody's turn."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self.ends_at = NEVER

    def hand_on(self, *, after: float = 0.0) -> None:
        """Let another worker have the turn, now or once so many seconds have passed; again, to no effect."""
        self._turn.end(self, after=after)


class PausedQueues:
    """What an executor has been told of pauses so far."""

    def __init__(self) -> None:
        self._paused: set[str] = set()

    def pass_over(self, lanes: list[Lane]) -> list[Lane]:
        """The lanes that may be served."""
        for lane in lanes:
            if lane.is_paused and lane.queue not in self._paused:
                self._paused.add(lane.queue)
                log(
                    logging.WARNING,
                    "The queue %r is paused: what is due in it waits until it is resumed",
                    lane.queue,
                    queue=lane.queue,
                )
            elif lane.queue in self._paused and not lane.is_paused:
                self._paused.remove(lane.queue)
                log(logging.INFO, "The queue %r is served again", lane.queue, queue=lane.queue)
        return [lane for lane in lanes if not lane.is_paused]


#: For how long a lane that was alone in being due twice in a row, as one with a backlog is, is taken to be so, in
#: seconds. A pause, which is seen when looking, takes effect within it at the latest.
TRUST = 0.5

#: A look at everything that took longer is repeated only after ten times as long, but at least twice a second.
LONG_LOOK, LONGEST_REST = 0.02, 0.5

#: How often due functions that others hold are looked at again, in seconds. Nobody tells when an executor elsewhere
#: dies and lets go of one.
LOCKED_INTERVAL = 0.5


class Until(Enum):
    """When an executor stops by itself."""

    STOPPED = "never"
    NOTHING_DUE = "when nothing is due and nothing is running"
    NOTHING_PENDING = "when nothing is pending and nothing is running"


class Lookout:
    def __init__(
        self,
        database: Database,
        *,
        queues: Collection[str],
        until: Until,
        stopping: Event,
        is_executing: Callable[[], bool],
    ) -> None:
        self._database = database
        self._queues = frozenset(queues)
        self._until = until
        self._stopping = stopping
        self._is_executing = is_executing
        self._paused_queues = PausedQueues()
        self._rung = Event()
        self._has_news = False
        self._only_lane: Lane | None = None
        self._trusted_until = 0.0
        self._has_looked = False
        self._not_due: list[Lane] = []
        self._known: list[Lane] = []
        self._familiar_until = 0.0

    def ring(self) -> None:
        """Something may be due, or it is time to stop."""
        self._has_news = True
        self._rung.set()

    def function_ended(self) -> None:
        """A function has ended: perhaps it was the last one."""
        if self._until is not Until.STOPPED:
            self._rung.set()

    def due_lanes(self, *, besides: Callable[[], Collection[int]]) -> list[Lane] | None:
        """Sleep until something is due; the lanes with due functions, in the order in which to serve them.

        ``besides``: the ids to pass over. ``None``: there is nothing left to do.
        """
        while not self._stopping.is_set():
            if self._only_lane and not self._has_news and time.monotonic() < self._trusted_until:
                self._has_looked = False
                return [self._only_lane]
            # Before looking, so that what is scheduled from now on rings again.
            self._has_news = False
            self._rung.clear()
            # Likewise: what is executed now may schedule more and end while we look.
            was_executing = self._is_executing()
            lanes = self._lanes(besides())
            due = _due(lanes)
            self._not_due = [lane for lane in lanes if lane.due_in > 0]
            self._has_looked = True
            self._trust(due)
            if due:
                return due
            if not was_executing and self._is_finished(lanes):
                return None
            self._sleep()
        return None

    def found_all_locked(self, due: list[Lane]) -> None:
        """Sleep, because every due function is held by somebody: others execute them, or cancel them."""
        self._only_lane = None
        self._familiar_until = 0.0
        if not self._has_looked:
            return  # not before having looked elsewhere
        if self._until is Until.NOTHING_DUE and not self._is_executing():
            self._stopping.set()
            return
        later = [self._database.next_due_in(lane) for lane in due]
        self._sleep(LOCKED_INTERVAL, *(seconds for seconds in later if seconds is not None))

    def claimed_up_to(self, lane: Lane, due_time: Any) -> None:
        """What was due in this lane before that is taken: until the next look it begins here."""
        if self._only_lane is not None and _same(self._only_lane, lane):
            self._only_lane = replace(self._only_lane, due_time=due_time)

    def _lanes(self, besides: Collection[int]) -> list[Lane]:
        self._database.connection.ensure_connection()  # which is not what makes a look long
        began = time.monotonic()
        if began < self._familiar_until:
            lanes = self._served(self._database.look_again(self._known, besides=besides))
            if _due(lanes):
                return lanes
        self._known = self._served(self._database.lanes(besides=besides))
        ended = time.monotonic()
        if ended - began > LONG_LOOK:
            self._familiar_until = ended + min(10 * (ended - began), LONGEST_REST)
        return self._known

    def _served(self, lanes: list[Lane]) -> list[Lane]:
        if self._queues:
            lanes = [lane for lane in lanes if lane.queue in self._queues]
        return self._paused_queues.pass_over(lanes)

    def _trust(self, due: list[Lane]) -> None:
        before, self._only_lane = self._only_lane, due[0] if len(due) == 1 else None
        again = before and self._only_lane and _same(before, self._only_lane)
        trust = min([TRUST, *(lane.due_in for lane in self._not_due)]) if again else 0.0
        self._trusted_until = time.monotonic() + trust

    def _is_finished(self, lanes: list[Lane]) -> bool:
        if self._until is Until.STOPPED:
            return False
        return self._until is Until.NOTHING_DUE or not lanes

    def _sleep(self, *at_most: float) -> None:
        due_in = [lane.due_in for lane in self._not_due]
        if not self._stopping.is_set():  # whose ring may have been cleared
            self._rung.wait(min([self._poll_interval(), *at_most, *due_in]))

    def _poll_interval(self) -> float:
        configured = get_settings().POLL_INTERVAL
        return configured.total_seconds() if configured else self._database.poll_interval


def _due(lanes: list[Lane]) -> list[Lane]:
    """Those that are due, in the order in which to serve them."""
    return sorted((lane for lane in lanes if lane.due_in <= 0), key=_order)


def _same(one: Lane, other: Lane) -> bool:
    return (one.queue, one.priority) == (other.queue, other.priority)


def _order(lane: Lane) -> tuple[Any, ...]:
    return -lane.priority, lane.due_time, lane.first_id
