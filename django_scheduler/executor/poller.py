"""The poller: an executor sleeps until functions are due, and learns in which lanes.

One thread of an executor at a time looks for due functions and claims: the one that has the claim lock. The others
wait for the lock, or execute. So an idle executor asks the database with one thread however many it has, and its
threads never compete for the same row.

A look at everything enters the index of pending functions once for each lane, and comes before every sleep. Polling is
the truth: whatever else is said here is believed for a limited time, and a wake-up that is lost, late or wrong costs no
more than that time, or a look. This is what is believed, and for how long:

* *That nothing is due*, after a look has found nothing, for the poll interval from then on: except for the lanes that
  the look has found to be due later, which are due when their time has come, and for what is announced. So when one
  function is announced (its wake-up names it) or a lane's time comes, it is claimed without another look, which would
  take longer than the claim. Any other wake-up, several announcements at once, a claim that finds nothing, an error,
  and a claim in a lane end this belief; then a look follows. Nothing of a higher priority is passed over that has been
  announced or whose time has come. What somebody has announced in vain, because the message was lost, waits for the
  poll interval, and so does what nobody announces: that a row has been changed by hand, or that an executor that was
  gone has left it.
* *That a lane is the only one that is due*, as one with a backlog is, after two looks have said so, for ``TRUST``
  seconds. It is not looked at meanwhile. Announcements in the same lane change nothing; anything else ends it.
* *What a look has found that took long*, because there are many lanes, or many entries of the index whose functions
  have ended (they stay as long as somebody's snapshot may still see them pending). For ten times as long as the look
  has taken, and half a second at most, only the lanes from which something was claimed are looked at again, each from
  where it began. What that cannot see (a lane that is new; a function that was scheduled earlier, but has been
  committed later) is seen by the next look at everything.

That a queue is paused is never believed from an earlier look: each claim asks. Only that it is logged waits for a look.

After all due functions were found locked, only a short sleep (``LOCKED_INTERVAL``) follows.

A thread that has claimed releases the lock and executes. Only after it has claimed a large group of mutations it keeps
the lock for a moment more, because threads that run short bodies at the same time take Python's one lock from each
other (measured on PostgreSQL with eight threads: 1,600 inserts a second, and 2,700 like this). So the next thread
begins when these bodies have run, and what is left is to wait for COMMIT. But one of the bodies may wait as well, for
anything and for any time. So the lock is kept for a limited time only, and then the next thread that waits takes it.
(``GroupSize`` in ``claim_policy.py`` knows when it is kept.)

A thread that claims actions also claims for those that wait for the lock. It keeps the lock until they can begin, and
then hands them over; so what a thread that waits is given is an action, or the lock.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum, auto
from threading import Condition, Event, Lock
from typing import Any

from django_scheduler.conf import get_settings
from django_scheduler.databases import Announcement, Database, Lane, LaneKey, Left, django_internals
from django_scheduler.executor.answer_timeout import awaiting_answer
from django_scheduler.executor.claim_policy import LeftToOthers, PutOff
from django_scheduler.executor.execution import SingleExecution
from django_scheduler.telemetry import log_of_executors as log

#: For how long a lane that was alone in being due twice in a row is taken to be so, in seconds.
TRUST = 0.5

#: A look at everything that took longer is repeated only after ten times as long, but at least twice a second.
LONG_LOOK, LONGEST_REST = 0.01, 0.5

#: How often due functions that others have locked are looked at again, in seconds. There is no wake-up when
#: an executor elsewhere dies and its locks go.
LOCKED_INTERVAL = 0.5

#: How often it is looked whether there is something else to do than what another worker does, in seconds.
BUSY_INTERVAL = 0.05

#: How many announcements are remembered: one that comes from this process comes once more through the database.
REMEMBERED = 20

NEVER = float("inf")


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
        #: What was announced and has not been looked for since; and the last ones of which that was so.
        self._announced: list[Announcement] = []
        self._heard_of: deque[Announcement] = deque(maxlen=REMEMBERED)
        self._hearing = Lock()
        #: Until when it is believed that nothing is due but what ``_not_due`` and ``_announced`` tell. All times here
        #: are by ``time.monotonic()`` as ``due_lanes`` reads it: libraries that freeze time freeze it in some frames.
        self._idle_until = 0.0
        self._only_lane: Lane | None = None
        self._trusted_until = 0.0
        #: Whether the lanes that were returned last are those of a look.
        self._has_looked = False
        #: What the last look has found to be due later, and when that look began.
        self._not_due: list[Lane] = []
        self._looked_at = 0.0
        #: What the last look at everything has found, until when only lanes are looked at again from which something
        #: was claimed since, and which ones these are.
        self._known_lanes: dict[LaneKey, Lane] = {}
        self._only_known_until = 0.0
        self._claimed_from: set[LaneKey] = set()

    def wake_up(self, announcement: Announcement | None = None) -> None:
        """Look again: something may be due, or it is time to stop. Called by any thread.

        ``announcement``: what has become due, where that is all that has happened.
        """
        if announcement is None:
            self._has_news = True
        elif not self._is_new(announcement):
            return
        self._woken.set()

    def _is_new(self, announcement: Announcement) -> bool:
        """Note what was announced; return whether it had not been before, and is in a queue that is served."""
        if self.queues and announcement.queue not in self.queues:
            return False
        with self._hearing:
            if announcement in self._heard_of:
                return False
            if len(self._announced) >= REMEMBERED:
                self._has_news = True  # while all workers execute, nobody takes note of them, and they would pile up
                return True
            self._heard_of.append(announcement)
            self._announced.append(announcement)
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
            due = self._known_due(time.monotonic())
            if due is None or not (due or was_woken):
                self._has_news = False
                with self._hearing:
                    self._announced = []  # all of that has been committed, so the look sees it
                # Before looking: what is executed now may schedule more and end while we look.
                executing_ids = self.executing_ids()
                began = time.monotonic()
                due = self._look([*executing_ids, *self.put_off.ids], began)
                self._learn(due, began, ended=time.monotonic())
                if not due and not executing_ids and self._is_finished():
                    return None
            else:
                self._has_looked = False
            if due:
                return due
            now = time.monotonic()
            passed = now - self._looked_at
            at_most = [self._idle_until - now] if self._idle_until else []
            was_woken = self._sleep(*at_most, *(lane.due_in - passed for lane in self._not_due))
        return None

    def claims_in(self, lane: Lane) -> None:
        """Note that functions of this lane are being claimed: what was known of it is not known any more."""
        if lane.due_time is None:
            with self._hearing:
                self._announced = [each for each in self._announced if each.id != lane.first_id]
        else:
            self._idle_until = 0.0
            self._claimed_from.add(_key(lane))

    def claimed_up_to(self, lane: Lane, due_time: Any) -> None:
        """Begin here in this lane until the next look: what was due before is claimed."""
        if self._only_lane is not None and _key(self._only_lane) == _key(lane):
            self._only_lane = replace(self._only_lane, due_time=due_time)

    def found_all_locked(self, due: list[Lane]) -> None:
        """Sleep after every due function was found locked; or stop the executor, if it ends when nothing is due."""
        self._only_lane = None
        self._idle_until = self._only_known_until = 0.0
        if not self._has_looked:
            return  # not before having looked elsewhere
        if self.until is Until.NOTHING_DUE and not self.executing_ids():
            self.stopping.set()
            return
        with awaiting_answer():
            later = [self.database.next_due_in(lane) for lane in due]
        self._sleep(
            LOCKED_INTERVAL,
            *(seconds for seconds in later if seconds is not None),
            *(lane.due_in for lane in self._not_due),
        )

    def wait_for_news(self) -> None:
        """Sleep until something is scheduled or has failed, but not for long."""
        self._only_lane = None
        self._idle_until = 0.0
        self._sleep(BUSY_INTERVAL)

    def _known_due(self, now: float) -> list[Lane] | None:
        """Return the lanes that are due as far as is known without a look; ``None``: one is needed."""
        if self._has_news or not self._is_connected():
            return None
        with self._hearing:
            announced = tuple(self._announced)
        if self._only_lane and now < self._trusted_until:
            in_it = all((each.queue, each.priority) == _key(self._only_lane) for each in announced)
            return [self._only_lane] if in_it else None
        if now >= self._idle_until:
            return None
        due = _due(self._not_due, now - self._looked_at)
        if not announced:
            return due
        return [_lane_of(announced[0])] if len(announced) == 1 and not due else None

    def _is_connected(self) -> bool:
        # Connecting takes 5 ms and the first statement of a session 2 more, so it looks before it sleeps.
        return django_internals.driver_of(self.database.connection) is not None

    @awaiting_answer()
    def _look(self, besides: Collection[int], now: float) -> list[Lane]:
        """Look, and return the lanes that are due, in the order in which to serve them."""
        self.database.connection.ensure_connection()  # which is not what makes a look long
        left = self.left_to_others.passed_over
        if now < self._only_known_until:
            passed = now - self._looked_at
            self._look_again(passed, besides, left)
            if due := _due(self._known_lanes.values(), passed):
                self._has_looked = False
                return due
        began = time.monotonic()
        lanes = self.database.lanes(besides=besides, left=left)
        took = time.monotonic() - began
        self._paused_queues.intersection_update(lane.queue for lane in lanes)  # what has nothing pending is forgotten
        self._known_lanes = {_key(lane): lane for lane in self._served(lanes)}
        self._looked_at = now
        self._claimed_from.clear()
        self._has_looked = True
        if took > LONG_LOOK:
            self._only_known_until = now + took + min(10 * took, LONGEST_REST)
        return _due(self._known_lanes.values(), 0.0)

    def _look_again(self, passed: float, besides: Collection[int], left: Left | None) -> None:
        """Look at the lanes from which something was claimed, so many seconds after the last look at everything."""
        lanes = [self._known_lanes.pop(key) for key in self._claimed_from if key in self._known_lanes]
        if lanes:
            for lane in self._served(self.database.look_again(lanes, besides=besides, left=left)):
                if _key(lane) in self._claimed_from:
                    self._known_lanes[_key(lane)] = replace(lane, due_in=lane.due_in + passed)
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
        self._not_due = [lane for lane in self._known_lanes.values() if lane.due_in > passed]
        self._idle_until = 0.0
        if not due and self.until is Until.STOPPED:
            self._idle_until = began + min(self._poll_interval(), self.put_off.seconds)
        before, self._only_lane = self._only_lane, due[0] if len(due) == 1 else None
        again = before and self._only_lane and _key(before) == _key(self._only_lane)
        trust = min([TRUST, *(lane.due_in - passed for lane in self._not_due)]) if again else 0.0
        self._trusted_until = ended + trust

    def _is_finished(self) -> bool:
        if self.until is Until.STOPPED:
            return False
        return self.until is Until.NOTHING_DUE or not (self._known_lanes or self.put_off.ids)

    def _sleep(self, *at_most: float) -> bool:
        """Sleep until woken, and no longer than so many seconds; return whether it was woken."""
        seconds = min([self._poll_interval(), self.put_off.seconds, *at_most])
        return self.stopping.is_set() or self._woken.wait(max(0.0, seconds))  # stopping's wake-up may have been cleared

    def _poll_interval(self) -> float:
        configured = get_settings().POLL_INTERVAL
        return configured.total_seconds() if configured else self.database.poll_interval


def _key(lane: Lane) -> LaneKey:
    return lane.queue, lane.priority


def _lane_of(announcement: Announcement) -> Lane:
    """Return a lane of which only this function is known."""
    return Lane(announcement.queue, announcement.priority, 0.0, None, announcement.id, is_paused=False)


def _due(lanes: Collection[Lane], passed: float) -> list[Lane]:
    """Return the lanes that are due so many seconds after the look, in the order in which to serve them."""
    return sorted((lane for lane in lanes if lane.due_in <= passed), key=_order)


def _order(lane: Lane) -> tuple[Any, ...]:
    return -lane.priority, lane.due_time, lane.first_id


#: What was claimed for another worker: its execution, and the error of the COMMIT of its claim, if there was one.
Claimed = tuple[SingleExecution, BaseException | None]


class ClaimLock:
    """Lets one worker at a time look for due functions and claim, also for those that wait for the lock meanwhile.

    The one that has begun to wait last is the next one. So an executor that is mostly idle executes with two of its
    workers, by turns, whose sessions the server has used just before; the others need not even connect.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: list[Condition] = []
        self._holding: Holding | None = None
        #: For how many of those that wait nothing has been claimed yet.
        self.idle = 0
        #: What has been claimed for workers that wait, and not been taken by them yet.
        self.claimed: deque[Claimed] = deque()

    @contextmanager
    def held(self, take: Callable[[Claimed], None] | None = None) -> Iterator["Holding | None"]:
        """Wait for the lock, and hold it until it is released, or at most to the end of the block.

        ``take``: takes what the worker that has the lock has claimed for this one. Then ``None`` is yielded, and the
        lock is not held.
        """
        holding = self._acquire(take)
        try:
            yield holding
        finally:
            if holding is not None:
                holding.release()

    def hand_over(self, claimed: Sequence[Claimed]) -> None:
        """Give what was claimed to workers that wait; the caller has the lock, and so many are ``idle``."""
        with self._lock:
            self.idle -= len(claimed)
            self.claimed.extend(claimed)
            for _ in claimed:
                self._wake_last()

    def _acquire(self, take: Callable[[Claimed], None] | None) -> "Holding | None":
        with self._lock:
            self.idle += take is not None
            told = Condition(self._lock)
            while True:
                if take and self.claimed:
                    take(self.claimed[0])
                    self.claimed.popleft()  # only now, so that at each moment somebody is known to execute it
                    return None
                if not self._holding or (left := self._holding.ends_at - time.monotonic()) <= 0:
                    break
                self._waiting.append(told)
                told.wait(None if left == NEVER else left)
                if told in self._waiting:  # its time was up
                    self._waiting.remove(told)
            self.idle -= take is not None
            self._holding = Holding(self)
            return self._holding

    def _wake_last(self) -> None:
        if self._waiting:
            self._waiting.pop().notify()

    def end(self, holding: "Holding", *, after: float) -> None:
        """Release the lock, or shorten the time with it; do nothing if another thread holds it by now."""
        with self._lock:
            if self._holding is not holding:
                return
            if after:
                holding.ends_at = time.monotonic() + after
            else:
                self._holding = None
            self._wake_last()  # that thread takes it, or learns until when to wait


class Holding:
    """Is one worker's time with the claim lock."""

    def __init__(self, lock: ClaimLock) -> None:
        self._lock = lock
        self.ends_at = NEVER

    def release(self, *, after: float = 0.0) -> None:
        """Let another worker take the lock, now or once ``after`` seconds have passed. A second call has no effect."""
        self._lock.end(self, after=after)
