"""What is written into a database and read from it, as far as it is more than a value."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django_scheduler.models import ScheduledFunctionId


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRow:
    """A function to be scheduled, after a delay or at a time."""

    name: str
    kind: str
    args: str
    state: str
    queue: str
    priority: int
    time: timedelta | datetime
    parent_id: int | None
    #: It is due at once and is being handed over: how long that may take before it is due again.
    hand_over: timedelta | None = None
    #: By which a tracer links the execution to the call that has scheduled it.
    trace_context: str | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """The pending functions of one queue and one priority, and how soon the first of them is due."""

    queue: str
    priority: int
    #: In seconds; zero or less: it is due.
    due_in: float
    #: Of the first of them, as the driver gives it; and its id. Nothing before it is looked for.
    due_time: Any
    first_id: int
    #: Whether its queue is paused, or everything is.
    is_paused: bool


@dataclass(frozen=True, slots=True)
class Claimable:
    """What an executor needs to know of a row that it has locked."""

    id: ScheduledFunctionId
    name: str
    kind: str
    args: str
    attempts: int
    #: When it was claimed, as the driver gives and takes it.
    claim_time: Any
    #: How long it had been due then, in seconds.
    lag: float
    #: When it was due, as the driver gives it.
    due_time: Any
    trace_context: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """What is recorded of a mutation that has succeeded in a group."""

    id: ScheduledFunctionId
    attempts: int
    #: As the driver takes them.
    started_time: Any
    completed_time: Any
    #: As JSON.
    result: str | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in a lane."""

    pending: int
    due: int
    #: For how long the first function has been due that nobody is executing, in seconds; 0.0 if there is none.
    lag: float


#: Stands for the present in ``Database.record``.
