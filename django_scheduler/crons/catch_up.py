"""Catching up decides which of the slots that have come up runs, and which are passed over."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from django_scheduler.crons.schedules import Interval, Schedule

#: With ``catch_up="none"`` a slot still runs when an executor finds it so soon after its time.
PUNCTUAL = timedelta(minutes=1)

#: The slots of a streak are counted up to here: a line that matches every minute has this many in a week.
STREAK_COUNTED_TO = 10_000


@dataclass(frozen=True, slots=True)
class Streak:
    """Describes slots in a row that have no run."""

    first: datetime
    last: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Decision:
    """Says what becomes of the slots that have come up: at most one runs, and those before it are passed over."""

    run: datetime | None
    passed_over: Streak | None
    #: The last slot that is decided by this, and the one that comes up after it.
    last_slot: datetime
    next_time: datetime


def decide(schedule: Schedule, due: datetime, now: datetime, *, anchor: datetime) -> Decision:
    """Decide which slot runs, as ``catch_up`` says. ``due``, not after ``now``, is the first that is not decided."""
    if schedule.catch_up == "all":
        return Decision(due, None, due, schedule.next_after(due, anchor=anchor))
    latest = schedule.latest_until(now, since=due, anchor=anchor)
    next_time = schedule.next_after(latest, anchor=anchor)
    if schedule.catch_up == "none" and now - latest > PUNCTUAL:
        return Decision(None, _streak(schedule, due, latest, anchor), latest, next_time)
    if latest == due:
        return Decision(due, None, due, next_time)
    last_missed = schedule.latest_until(latest - timedelta(microseconds=1), since=due, anchor=anchor)
    return Decision(latest, _streak(schedule, due, last_missed, anchor), latest, next_time)


def skip(schedule: Schedule, due: datetime, now: datetime, *, anchor: datetime) -> Decision:
    """Decide to pass over every slot that has come up."""
    latest = schedule.latest_until(now, since=due, anchor=anchor)
    return Decision(None, _streak(schedule, due, latest, anchor), latest, schedule.next_after(latest, anchor=anchor))


def _streak(schedule: Schedule, first: datetime, last: datetime, anchor: datetime) -> Streak:
    if isinstance(schedule, Interval):
        return Streak(first, last, (last - first) // schedule.every + 1)
    following = islice(schedule.slots(first, last, anchor=anchor), STREAK_COUNTED_TO - 1)
    return Streak(first, last, 1 + sum(1 for _ in following))
