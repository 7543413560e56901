"""These classes describe the rows that are written and read, and what a claim is told."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django_scheduler.models import Key, Kind, ScheduledFunction, ScheduledFunctionId, State

#: The table of scheduled functions, in SQL.
TABLE = ScheduledFunction._meta.db_table

#: The table of keys.
KEYS = Key._meta.db_table


@dataclass(slots=True, kw_only=True)  # not frozen: that takes three times as long to make
class NewRows:
    """Describes what functions have in common that are to be inserted: all but their arguments.

    They are due after a delay or at a time.
    """

    name: str
    kind: Kind
    state: State
    queue: str
    priority: int
    time: timedelta | datetime
    parent_id: int | None
    #: What is known of the request that caused them, and what middleware has added, as JSON.
    context: str | None = None
    #: They are due at once and are being handed over: how long that may take before they are due again.
    hand_over: timedelta | None = None
    #: When they expire, from now on or at a time; ``None``: never.
    expires: timedelta | datetime | None = None
    #: What is scheduled when one of them ends, as JSON.
    callbacks: str | None = None
    #: Which batch they are members of.
    batch_id: int | None = None
    #: When they are due, where that is not the requested time.
    due: timedelta | datetime | None = None
    #: With which it is scheduled, if there is only one of them.
    key: str | None = None


#: A queue and a priority.
LaneKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Lane:
    """Describes the pending functions of one queue and one priority, and how soon the first of them is due."""

    queue: str
    priority: int
    #: In seconds; zero or less: it is due.
    due_in: float
    #: Of the first of them, as the driver gives it; nothing before it is looked for. ``None``: nobody has looked, and
    #: only the first one is known, because it was announced.
    due_time: Any
    first_id: int
    #: Whether its queue is paused, or everything is.
    is_paused: bool
    #: Whether its time has just come, or is just about to: only the first one is claimed, where that is quicker.
    only_first: bool = False


class Announcement(NamedTuple):
    """Names a function that was scheduled to run at once, in a transaction that has committed.

    A tuple, because two of them are compared without any code of Python's: another thread may note one meanwhile.
    """

    id: ScheduledFunctionId
    priority: int
    queue: str


class Claimable(NamedTuple):
    """Says what an executor needs to know of a row that it has locked."""

    id: ScheduledFunctionId
    name: str
    kind: str
    queue: str
    args: str
    #: What is known of the request that caused it, and what middleware has added, as JSON.
    context: str | None
    attempts: int
    #: When it was claimed, as the driver gives and takes it.
    claim_time: Any
    #: In how many seconds it was due then; zero or less, unless it had been handed over.
    due_in: float
    #: When it was due, as the driver gives it.
    due_time: Any
    #: Since when executors have met it that could not execute it, as the driver gives and takes it; and which ones.
    unknown_since: Any
    unknown_to: str | None
    #: The transient error that the last attempts have met, and how many of them did in a row.
    error: str
    same_errors: int
    #: When it expires if it has not begun, as the driver gives it.
    expires_time: Any
    #: What is scheduled when it ends, as JSON.
    callbacks: str | None
    #: Which batch it is a member of.
    batch_id: int | None
    #: How many calls with its key it has taken in.
    absorbed: int
    #: When it was scheduled, as the driver gives it.
    creation_time: Any
    #: What follows in its lane, if anything does. ``None``: that was not asked.
    followers: tuple[Lane, ...] | None = None

    @property
    def lag(self) -> float:
        """Return how long it had been due when it was claimed, in seconds."""
        return max(0.0, -float(self.due_in))


class Waiting(NamedTuple):
    """Is a function that waits, and that is locked."""

    id: ScheduledFunctionId
    #: How many calls with its key it has taken in.
    absorbed: int
    creation_time: datetime
    due_time: datetime
    #: When it was locked, by the clock that says what is due.
    now: datetime


@dataclass(frozen=True, slots=True)
class Left:
    """Names the functions that an executor passes over, because it has left them to others."""

    #: By which it is known in ``unknown_to``.
    code: str
    #: For how long they are left.
    grace: timedelta


class Wanted(NamedTuple):
    """Says which of the due functions of a lane a claim takes."""

    #: Only what comes before the first function of that lane.
    before: Lane | None = None
    #: Not those with these ids.
    besides: Collection[int] = ()
    #: Only first attempts, and none of functions of these names.
    unhealthy: Collection[str] | None = None
    #: Not what is left to others.
    left: Left | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """Says what waits in a lane."""

    pending: int
    due: int
    #: For how long the first function has been due that nobody is executing (outside of PostgreSQL an executing
    #: mutation counts too), in seconds; 0.0 if there is none.
    lag: float
    #: Whether executors have met any of them whose code does not know it.
    has_unknown: bool


#: Stands for the present, as a value that is written.
NOW = object()


def in_order(claimed: Claimable) -> tuple[Any, int]:
    """Return by what the functions of one priority are ordered."""
    return claimed.due_time, claimed.id
