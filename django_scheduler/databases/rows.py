"""These classes describe the rows that are written and read, and what a claim is told."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

from django_scheduler.databases.tenants import tenant_of
from django_scheduler.models import (
    Executor,
    Key,
    Kind,
    Limit,
    ScheduledFunction,
    ScheduledFunctionId,
    Slot,
    State,
)

#: A time as the driver gives and takes it: text on SQLite. Only the database compares and reads it.
DriverTime: TypeAlias = datetime | str

#: The table of scheduled functions, in SQL.
TABLE = ScheduledFunction._meta.db_table

#: The tables of keys, of slots, of what limits are set to, and of executors.
KEYS = Key._meta.db_table
SLOTS = Slot._meta.db_table
LIMITS = Limit._meta.db_table
EXECUTORS = Executor._meta.db_table


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
    #: Which of their arguments names their tenant. ``None``: they have none.
    fair_key: str | None = None
    #: Of a function whose bodies begin in the order of their due times: returns by which limit, for stored arguments.
    ordered_by: Callable[[str], str] | None = None

    def tenant_of(self, arguments: str) -> str:
        """Return the tenant of the one with these arguments."""
        return "" if self.fair_key is None else tenant_of(arguments, self.fair_key)


#: A queue, a priority and a tenant.
LaneKey = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Lane:
    """Describes the pending functions of a queue, a priority and a tenant, and how soon the first of them is due."""

    queue: str
    priority: int
    #: Empty: they are those that have none.
    tenant: str
    #: In seconds; zero or less: it is due.
    due_in: float
    #: Of the first of them, as the driver gives it; nothing before it is looked for. ``None``: nobody has looked, and
    #: only the first one is known, because a wake-up has named it.
    due_time: DriverTime | None
    first_id: int
    #: Whether its queue is paused, or everything is.
    is_paused: bool
    #: Whether its time has just come, or is just about to: only the first one is claimed, where that is quicker.
    only_first: bool = False

    @property
    def key(self) -> LaneKey:
        return self.queue, self.priority, self.tenant


class DueFunction(NamedTuple):
    """Is what a wake-up names: the one function that a transaction has scheduled, to run at once.

    A tuple, because two of them are compared without any code of Python's: another thread may note one meanwhile.
    """

    id: ScheduledFunctionId
    priority: int
    queue: str
    tenant: str = ""


def due_function_of(rows: NewRows, ids: Sequence[ScheduledFunctionId], arguments: Sequence[str]) -> DueFunction | None:
    """Return what names the function that was inserted with these arguments; ``None``: there are several."""
    if len(ids) == len(arguments) == 1:
        return DueFunction(ids[0], rows.priority, rows.queue, rows.tenant_of(arguments[0]))
    return None


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
    claim_time: DriverTime
    #: In how many seconds it was due then; zero or less, unless it had been handed over.
    due_in: float
    #: When it was due, as the driver gives it.
    due_time: DriverTime
    #: Since when executors have met it that could not execute it, as the driver gives and takes it; and which ones.
    unknown_since: DriverTime | None
    unknown_to: str | None
    #: The transient error that the last attempts have met, and how many of them did in a row.
    error: str
    same_errors: int
    #: When it expires if it has not begun, as the driver gives it.
    expires_time: DriverTime | None
    #: What is scheduled when it ends, as JSON.
    callbacks: str | None
    #: Which batch it is a member of.
    batch_id: int | None
    #: How many calls with its key it has taken in.
    absorbed: int
    #: When it was scheduled, as the driver gives it.
    creation_time: DriverTime
    tenant: str
    #: What follows in its lane, if anything does. ``None``: that was not asked.
    followers: tuple[Lane, ...] | None = None

    @property
    def lag(self) -> float:
        """Return how long it had been due when it was claimed, in seconds."""
        return max(0.0, -float(self.due_in))


class KeyHolder(NamedTuple):
    """Is a function to which a key refers, that has not begun, and that is locked."""

    id: ScheduledFunctionId
    #: How many calls with its key it has taken in.
    absorbed: int
    creation_time: datetime
    due_time: datetime
    #: When it was locked, by the clock that says what is due.
    now: datetime


class WantedSlots(NamedTuple):
    """Says how many slots of a limit are wanted, for functions that are locked."""

    #: The text by which the limit is known, and its name on record.
    limit: str
    name: str
    #: How many there are, as far as the code says.
    size: int
    number: int
    #: Whether its functions begin in the order of their due times.
    keeps_order: bool = False
    #: For how long a start has its slot, if it is a rate limit.
    window: timedelta | None = None


class FoundSlot(NamedTuple):
    """Is a free slot, which is locked."""

    id: int
    limit: str
    #: Whether functions wait for the limit.
    others_wait: bool
    #: The first of those others that begin in the order of their due times: its due time, as the driver gives it, and
    #: its id.
    first: tuple[DriverTime, int] | None


class LookedAtSlot(NamedTuple):
    """Says how a slot is used."""

    id: int
    limit: str
    taken: int
    #: Whether somebody has it, or waits for its limit.
    is_needed: bool
    #: How long ago it was taken for a start, in seconds; ``None``: it is not one of a rate limit, or it was given back.
    age: float | None


class TakenSlot(NamedTuple):
    """Is a slot of a rate limit that was taken for a start."""

    id: int
    limit: str
    #: How often it had been taken then.
    taken: int


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

#: Stand for the due time of a function, as a value that is written: as it is; as it was before it waited for a limit,
#: if it waits for one, or was let in or put aside; and the present, unless it waits for one.
DUE_TIME, DUE_BEFORE, DUE_AT_ONCE = object(), object(), object()


def in_order(claimed: Claimable) -> tuple[DriverTime, int]:
    """Return by what the functions of one priority are ordered."""
    return claimed.due_time, claimed.id
