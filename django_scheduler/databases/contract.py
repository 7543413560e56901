"""What a vendor has to answer by itself, and the rows that are written into a database and read from it.

How SQL writes a time or JSON, what the error of a statement means, and how one thread stops the statement of another:
that differs everywhere. What is asked by SQL that all vendors understand is in ``queries.py``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any, ClassVar

from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateTimeField
from django.db.models.expressions import RawSQL
from django.utils import timezone

from django_scheduler import times
from django_scheduler.errors import TransientError
from django_scheduler.models import ScheduledFunction, ScheduledFunctionId

#: The table of scheduled functions, in SQL.
TABLE = ScheduledFunction._meta.db_table


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


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in a lane."""

    pending: int
    due: int
    #: For how long the first function has been due that nobody is executing, in seconds; 0.0 if there is none.
    lag: float


#: Stands for the present, as a value that is written.
NOW = object()


class Sql:
    """A fragment of SQL with its parameters."""

    __slots__ = ("params", "text")

    def __init__(self, text: str, *params: Any) -> None:
        self.text = text
        self.params = params


class Contract(ABC):
    """A database alias, and what its vendor answers by itself."""

    #: The database's clock, as SQL; the same throughout a statement.
    clock: ClassVar[str]
    #: Whether one executing mutation keeps every other writer waiting.
    has_one_writer: ClassVar[bool] = False
    #: Whether a transaction can only be rolled back once one of its statements has failed.
    an_error_breaks_the_transaction: ClassVar[bool] = False
    #: How long an idle executor sleeps when nothing wakes it, in seconds.
    poll_interval: float = 1.0
    #: Locks the rows that a SELECT returns and passes over those that are locked.
    skip_locked: ClassVar[str]
    #: What a claim selects besides, to let a cancel know that this transaction executes a function.
    mark_executing: ClassVar[str] = "NULL"
    #: A condition that a row does not meet while a mutation is executing that has locked it, where that can be seen.
    not_executing: ClassVar[str] = "TRUE"

    def __init__(self, using: str) -> None:
        self.using = using

    @property
    def connection(self) -> BaseDatabaseWrapper:
        """Return the connection of the current thread."""
        return connections[self.using]

    def now(self) -> RawSQL:
        """Return the present for the ORM, by the clock that decides what is due."""
        now = self._now()
        return RawSQL(now.text, now.params, output_field=DateTimeField())

    def _now(self) -> Sql:
        if times.is_pythons():
            return Sql("%s", self.connection.ops.adapt_datetimefield_value(timezone.now()))
        return Sql(self.clock)

    def for_orm(self, value: Any) -> Any:
        """Return a value that is written as the ORM takes it.

        It may be ``NOW``; a time, or a ``timedelta`` from now, is that of ``due_time``, and is not before now.
        """
        if value is NOW:
            return self.now()
        if isinstance(value, timedelta | datetime):
            due = self._scheduled_and_due(value)[1]
            return RawSQL(due.text, due.params, output_field=DateTimeField())
        return value

    def current_time(self) -> datetime:
        """Return the present, by the same clock."""
        return timezone.now() if times.is_pythons() else self._current_time()

    def _current_time(self) -> datetime:
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {self.clock}")
            time: datetime = cursor.fetchone()[0]
        return time if timezone.is_aware(time) else time.replace(tzinfo=UTC)

    def _json(self, text: str) -> str:
        """Return the SQL that makes text a JSON value."""
        return text

    def _text(self, column: str) -> str:
        """Return the SQL that makes a JSON column text."""
        return column

    @abstractmethod
    def _scheduled_and_due(self, time: timedelta | datetime) -> tuple[Sql, Sql]:
        """Return when a function was asked to run, and when it is due, which is not before now."""

    @abstractmethod
    def _seconds_until(self, column: str) -> Sql:
        """Return the SQL of how far a column lies ahead of now, in seconds."""

    # What the error of a statement means, and whether the same again may succeed

    def ends_transaction(self, error: BaseException) -> bool:
        """Return whether the error of a statement has also undone what the transaction had done before."""
        return self.is_lost(error)

    def is_transient(self, error: BaseException | None) -> bool:
        """Return whether the same again may succeed: a conflict, a timeout, a lost connection."""
        if isinstance(error, TransientError):
            return True
        return isinstance(error, DatabaseError | InterfaceError) and (
            self.is_lost(error) or self.is_conflict(error) or self._is_passing(error)
        )

    def is_interruption(self, error: BaseException) -> bool:
        """Return whether somebody has stopped the statement or the session, as a cancel does."""
        return False

    @abstractmethod
    def is_conflict(self, error: BaseException) -> bool:
        """Return whether the database has rolled the transaction back because it conflicted with another one."""

    @abstractmethod
    def is_lost(self, error: BaseException) -> bool:
        """Return whether the connection is gone, or can no longer be used."""

    def _is_passing(self, error: BaseException) -> bool:
        """Return whether another error will have passed after a while: a lock timeout, a full disk."""
        return False

    # Groups, cancels and wake-ups

    def check_constraints_early(self) -> None:
        """Have deferred constraints checked by each statement of the open transaction, where there are any."""

    def may_group(self) -> bool:
        """Return whether nothing in this database would notice that several mutations share a transaction."""
        return True

    def lock_rows(self, ids: Collection[int]) -> None:
        """Lock rows, and interrupt the mutations that hold them, where the vendor can. Elsewhere do nothing."""

    def send_wakeup(self) -> None:
        """Tell the executors of other processes to look, where the vendor can. Elsewhere do nothing."""

    # The sessions of executors

    def prepare_session(self) -> None:
        """Set up a new connection of an executor."""

    @abstractmethod
    def interrupt_statement(self, session: Any) -> None:
        """Stop the statement that another thread's session is executing, if it is."""

    @abstractmethod
    def end_session(self, session: Any) -> None:
        """End another thread's session, so that its transaction vanishes, wherever that thread is."""

    def listen(self, wake: Callable[[], None], stopping: Event) -> None:
        """Call ``wake`` for each wake-up of another process until ``stopping``. Where there are none, return."""
