"""What a database can be asked, and the SQL that all of them understand."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any, ClassVar

from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateTimeField
from django.db.models.expressions import RawSQL
from django.utils import timezone

from django_scheduler import clock
from django_scheduler.errors import TransientError
from django_scheduler.models import Pause, ScheduledFunction, ScheduledFunctionId, State

TABLE = ScheduledFunction._meta.db_table
PAUSES = Pause._meta.db_table

#: Databases take only so many parts of a UNION.
LANES_PER_STATEMENT = 100


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
NOW = object()


class Sql:
    """A fragment of SQL with its parameters."""

    __slots__ = ("params", "text")

    def __init__(self, text: str, *params: Any) -> None:
        self.text = text
        self.params = params


class Database(ABC):
    """One database alias, and what its vendor can do."""

    #: Whether one executing mutation keeps every other writer waiting.
    has_one_writer: ClassVar[bool] = False
    #: Whether the error of one statement leaves its transaction nothing but to be rolled back.
    an_error_breaks_the_transaction: ClassVar[bool] = False
    #: How long an idle executor sleeps when nothing wakes it, in seconds.
    poll_interval: float = 1.0
    #: The database's clock, as SQL; the same throughout a statement.
    clock: ClassVar[str]
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
        """The connection of the current thread."""
        return connections[self.using]

    # Time

    def now(self) -> RawSQL:
        """The present, by the clock that decides what is due, for the ORM."""
        now = self._now()
        return RawSQL(now.text, now.params, output_field=DateTimeField())

    def _now(self) -> Sql:
        if clock.is_pythons():
            return Sql("%s", self.connection.ops.adapt_datetimefield_value(timezone.now()))
        return Sql(self.clock)

    def current_time(self) -> datetime:
        """The present, by the same clock."""
        return timezone.now() if clock.is_pythons() else self._current_time()

    def _current_time(self) -> datetime:
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {self.clock}")
            time: datetime = cursor.fetchone()[0]
        return time if timezone.is_aware(time) else time.replace(tzinfo=UTC)

    @abstractmethod
    def _scheduled_and_due(self, time: timedelta | datetime) -> tuple[Sql, Sql]:
        """When a function was asked to run, and when it is due: not before now."""

    @abstractmethod
    def _seconds_until(self, column: str) -> Sql:
        """How far a column lies ahead of now, in seconds."""

    # Scheduling

    def insert(self, rows: Sequence[NewRow]) -> list[ScheduledFunctionId]:
        """Write the rows, in one statement, and return their ids in the same order."""
        placeholders, params = [], []
        for row in rows:
            now = self._now()
            scheduled, due = self._scheduled_and_due(row.time)
            if row.hand_over is not None:
                due = self._scheduled_and_due(row.hand_over)[1]
            completed = now if row.state == State.CANCELED else Sql("NULL")
            placeholders.append(
                f"(%s, %s, {self._json('%s')}, %s, %s, %s, {scheduled.text}, {due.text}, {now.text},"
                f" {completed.text}, 0, '', '', '', %s, '', %s)"
            )
            params += [row.name, row.kind, row.args, row.state, row.queue, row.priority]
            params += [*scheduled.params, *due.params, *now.params, *completed.params, row.parent_id, row.trace_context]
        return self._insert(
            f"INSERT INTO {TABLE} (name, kind, args, state, queue, priority, scheduled_time, due_time, creation_time,"
            " completed_time, attempts, failure, error, traceback, parent_id, worker, trace_context)"
            f" VALUES {', '.join(placeholders)}",
            params,
        )

    def _insert(self, statement: str, params: list[Any]) -> list[ScheduledFunctionId]:
        with self.connection.cursor() as cursor:
            cursor.execute(f"{statement} RETURNING id", params)
            return [row[0] for row in cursor.fetchall()]

    def _json(self, text: str) -> str:
        """Text as a JSON value."""
        return text

    def send_wakeup(self) -> None:
        """Tell the executors of other processes to look; nothing where the database cannot."""

    # Claiming

    def lanes(self, *, besides: Collection[int] = ()) -> list[Lane]:
        """Every queue and priority that has pending functions. ``besides``: ids to pass over."""
        with self.connection.cursor() as cursor:
            lanes = self._lanes(_besides(besides))
            cursor.execute(lanes.text, lanes.params)
            return [
                Lane(queue, priority, float(due_in), due_time, first_id, bool(is_paused))
                for queue, priority, due_in, due_time, first_id, is_paused in cursor.fetchall()
            ]

    def _lanes(self, besides: Sql) -> Sql:
        # From the first entry of one lane the index is entered anew at the first entry of the next one, so the
        # cost grows with the number of lanes and not with that of the pending functions. (A comparison of rows,
        # (queue, priority) > (...), would read the whole lane.)
        first = f"SELECT id FROM {TABLE} WHERE state = 'pending'{besides.text}"
        order = "ORDER BY queue, priority, due_time, id LIMIT 1"
        due_in = self._seconds_until("due_time")
        return Sql(
            f"WITH RECURSIVE lanes (queue, priority, due_time, id) AS ("
            f" SELECT queue, priority, due_time, id FROM {TABLE} WHERE id = ({first} {order})"
            f" UNION ALL"
            f" SELECT head.queue, head.priority, head.due_time, head.id FROM lanes JOIN {TABLE} head ON head.id ="
            f" COALESCE(({first} AND queue = lanes.queue AND priority > lanes.priority {order}),"
            f" ({first} AND queue > lanes.queue {order})))"
            f" SELECT queue, priority, {due_in.text}, due_time, id, {is_paused('lanes')} FROM lanes",
            *besides.params,
            *besides.params,
            *besides.params,
            *due_in.params,
        )

    def look_again(self, lanes: Collection[Lane], *, besides: Collection[int] = ()) -> list[Lane]:
        """Those of the lanes that have pending functions from where they began, and where they begin now.

        Cheaper than ``lanes`` where the index has many entries of functions that have finished since.
        """
        return self.lanes(besides=besides)

    def claim(
        self, lane: Lane, *, most: int = 1, before: Lane | None = None, besides: Collection[int] = ()
    ) -> list[Claimable]:
        """Lock the first functions of a lane that are due and that nobody else has locked.

        ``most``: how many. ``before``: only what comes before the first function of that lane. ``besides``: ids to
        pass over. The locks last as long as the transaction, in which this must be called.
        """
        now = self._now()
        passed_over = _besides(besides)
        earlier = _earlier_than(before)
        return self._claim(
            f"state = 'pending' AND queue = %s AND priority = %s AND due_time >= %s AND due_time <= {now.text}"
            f"{earlier.text}{passed_over.text} ORDER BY due_time, id LIMIT {most:d}",
            [lane.queue, lane.priority, lane.due_time, *now.params, *earlier.params, *passed_over.params],
        )

    def claim_again(self, function_id: int) -> Claimable | None:
        """Lock this function, if it is still pending and due, and nobody else has locked it."""
        now = self._now()
        chosen = f"state = 'pending' AND id = %s AND due_time <= {now.text}"
        return next(iter(self._claim(chosen, [function_id, *now.params])), None)

    def claim_id(self, function_id: int, *, handed_over_within: timedelta) -> Claimable | None:
        """Lock this function if it is pending, its time has come, and nobody else has locked it.

        Its time has come as well if it has been handed over, for it is due again only after ``handed_over_within``.
        """
        now = self._now()
        due_again = self._scheduled_and_due(handed_over_within)[1]
        claimed = self._claim(
            f"state = 'pending' AND id = %s AND (scheduled_time <= {now.text} OR due_time <= {due_again.text})",
            [function_id, *now.params, *due_again.params],
        )
        return next(iter(claimed), None)

    def _claim(self, chosen: str, params: list[Any]) -> list[Claimable]:
        now = self._now()
        due_in = self._seconds_until("due_time")
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, name, kind, {self._text('args')}, attempts, {now.text}, {due_in.text},"
                f" {self.mark_executing}, due_time, trace_context FROM {TABLE} WHERE {chosen} {self.skip_locked}",
                [*now.params, *due_in.params, *params],
            )
            return [
                Claimable(
                    function_id, name, kind, args, attempts, at, max(0.0, -float(due_in_seconds)), due_time, trace
                )
                for function_id, name, kind, args, attempts, at, due_in_seconds, _, due_time, trace in cursor.fetchall()
            ]

    def next_due_in(self, lane: Lane) -> float | None:
        """Seconds until the next function of a lane is due that is not due yet; ``None`` if there is none."""
        now = self._now()
        due_in = self._seconds_until("due_time")
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {due_in.text} FROM {TABLE} WHERE state = 'pending' AND queue = %s AND priority = %s"
                f" AND due_time > {now.text} ORDER BY due_time LIMIT 1",
                [*due_in.params, lane.queue, lane.priority, *now.params],
            )
            row = cursor.fetchone()
        return None if row is None else float(row[0])

    def backlog(self, lane: Lane, *, besides: Collection[int] = (), count_to: int) -> Backlog:
        """What waits in a lane, in one statement that locks nothing.

        ``besides``: ids that are known to be executing. ``count_to``: where to stop counting.
        """
        return self.backlogs([lane], besides=besides, count_to=count_to)[0]

    def backlogs(self, lanes: Sequence[Lane], *, besides: Collection[int] = (), count_to: int) -> list[Backlog]:
        """``backlog`` of each lane, a hundred of them in a statement."""
        if len(lanes) > LANES_PER_STATEMENT:
            first, others = lanes[:LANES_PER_STATEMENT], lanes[LANES_PER_STATEMENT:]
            return [
                backlog
                for part in (first, others)
                for backlog in self.backlogs(part, besides=besides, count_to=count_to)
            ]
        each = [self._backlog(number, lane, _besides(besides), count_to) for number, lane in enumerate(lanes)]
        if not each:
            return []
        with self.connection.cursor() as cursor:
            statement = " UNION ALL ".join(sql.text for sql in each)
            cursor.execute(statement, [param for sql in each for param in sql.params])
            return [
                Backlog(pending, due, max(0.0, -float(due_in or 0.0)))
                for _, pending, due, due_in in sorted(cursor.fetchall(), key=lambda row: int(row[0]))
            ]

    def _backlog(self, number: int, lane: Lane, passed_over: Sql, count_to: int) -> Sql:
        now = self._now()
        due_in = self._seconds_until("due_time")
        rows = f"FROM {TABLE} WHERE state = 'pending' AND queue = %s AND priority = %s"
        in_lane: list[Any] = [lane.queue, lane.priority]
        return Sql(
            f"SELECT {number:d}, (SELECT COUNT(*) FROM (SELECT 1 AS one {rows} LIMIT {count_to}) pending),"
            f" (SELECT COUNT(*) FROM (SELECT 1 AS one {rows} AND due_time <= {now.text} LIMIT {count_to}) due),"
            f" (SELECT {due_in.text} {rows} AND due_time <= {now.text} AND {self.not_executing}{passed_over.text}"
            " ORDER BY due_time, id LIMIT 1)",
            *in_lane,
            *in_lane,
            *now.params,
            *due_in.params,
            *in_lane,
            *now.params,
            *passed_over.params,
        )

    def _text(self, column: str) -> str:
        """A JSON column as text."""
        return column

    # Recording what became of a function

    def record(self, function_id: int, changes: Mapping[str, Any], *, only_if: Mapping[str, Any]) -> bool:
        """Change a row if it still is as expected, and return whether it was.

        A changed value may be ``NOW`` or, for ``due_time``, the ``timedelta`` from now.
        """
        assignments: list[str] = []
        params: list[Any] = []
        for column, value in changes.items():
            change = self._change(column, value)
            assignments.append(f"{column} = {change.text}")
            params += change.params
        conditions = " AND ".join(f"{column} = %s" for column in only_if)
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {TABLE} SET {', '.join(assignments)} WHERE id = %s AND {conditions}",
                [*params, function_id, *only_if.values()],
            )
            return bool(cursor.rowcount)

    def record_unless_held(self, function_id: int, changes: Mapping[str, Any], *, only_if: Mapping[str, Any]) -> bool:
        """``record``, but without waiting for long for somebody who has locked the row, where that can be told."""
        return self.record(function_id, changes, only_if=only_if)

    def record_successes(self, successes: Sequence[Success], *, worker: str) -> bool:
        """Record that these mutations have succeeded, in one statement; whether all were pending and due."""
        placeholders = ", ".join(["%s"] * len(successes))
        assignments, params = [], []
        for column in ("attempts", "started_time", "completed_time", "result"):
            values = [(success.id, getattr(success, column)) for success in successes]
            if any(value is not None for _, value in values):
                value_of_row = self._json("%s") if column == "result" else "%s"
                assignments.append(f"{column} = CASE id {f'WHEN %s THEN {value_of_row} ' * len(values)}END")
                params += [each for value in values for each in value]
        now = self._now()
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {TABLE} SET state = 'success', kind = 'mutation', error = '', traceback = '', worker = %s,"
                f" {', '.join(assignments)} WHERE id IN ({placeholders}) AND state = 'pending'"
                f" AND due_time <= {now.text}",
                [worker, *params, *(success.id for success in successes), *now.params],
            )
            return bool(cursor.rowcount == len(successes))

    def later(self, time: Any, seconds: float) -> Any:
        """So many seconds after a time that the driver has given, as the driver takes it."""
        moment = datetime.fromisoformat(time) if isinstance(time, str) else time
        return moment + timedelta(seconds=seconds)

    def _change(self, column: str, value: Any) -> Sql:
        if value is NOW:
            return self._now()
        if isinstance(value, timedelta):
            return self._scheduled_and_due(value)[1]
        return Sql(self._json("%s") if column == "result" else "%s", value)

    # Canceling

    def lock_rows(self, ids: Collection[int]) -> None:
        """Lock rows, interrupting the mutations that hold them where the database can; else do nothing."""

    # Rescheduling

    def reschedule(self, ids: Collection[int], time: timedelta | datetime) -> None:
        """Make pending functions due after a delay or at a time, but not before now."""
        if ids:
            due = self._scheduled_and_due(time)[1]
            with self.connection.cursor() as cursor:
                cursor.execute(
                    f"UPDATE {TABLE} SET due_time = {due.text} WHERE state = 'pending'"
                    f" AND id IN ({', '.join(['%s'] * len(ids))})",
                    [*due.params, *ids],
                )

    # Looking, for people

    @contextmanager
    def time_limit(self, seconds: float) -> Iterator[None]:
        """Let no statement within take longer: then it fails with an error that ``is_time_up`` knows."""
        yield

    def is_time_up(self, error: BaseException) -> bool:
        """Whether a statement has met the ``time_limit``."""
        return False

    def count_states(self, states: Collection[str], *, at_most: int) -> dict[str, int]:
        """How many functions are in each state, counted no further than ``at_most``; in one statement."""
        # Ordered, so that an index is read and not the table.
        counts = ", ".join(
            f"(SELECT COUNT(*) FROM (SELECT 1 FROM {TABLE} WHERE state = '{State(state).value}'"
            f"{self._in_order(State(state))} LIMIT {at_most:d}) AS counted_{number})"
            for number, state in enumerate(states)
        )
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {counts}")
            return dict(zip(states, cursor.fetchone(), strict=True))

    def _in_order(self, state: State) -> str:
        if state is State.PENDING:
            return " ORDER BY queue, priority, due_time, id"
        if state is State.IN_PROGRESS:
            return " ORDER BY worker"
        return " AND completed_time IS NOT NULL ORDER BY completed_time DESC"

    def first_pending(
        self, lanes: Collection[Lane], *, after: tuple[datetime, int] | None, overdue_only: bool, limit: int
    ) -> list[int]:
        """The ids of the pending functions that are due first, in all of these lanes together.

        ``after``: the due time and the id of the one to begin behind. ``overdue_only``: only what is due already.
        """
        if not lanes:
            return []
        conditions: list[Sql] = []
        if after is not None:
            time = self.connection.ops.adapt_datetimefield_value(after[0])
            conditions.append(Sql(" AND due_time >= %s AND (due_time > %s OR id > %s)", time, time, after[1]))
        if overdue_only:
            now = self._now()
            conditions.append(Sql(f" AND due_time <= {now.text}", *now.params))
        condition = "".join(each.text for each in conditions)
        values = [param for each in conditions for param in each.params]
        # Each lane is in order already. One SELECT over all of them would sort everything that is pending.
        heads = " UNION ALL ".join(
            f"SELECT id, due_time FROM (SELECT id, due_time FROM {TABLE} WHERE state = 'pending' AND queue = %s"
            f" AND priority = %s{condition} ORDER BY due_time, id LIMIT {limit:d}) AS lane_{number}"
            for number in range(len(lanes))
        )
        params = [param for lane in lanes for param in (lane.queue, lane.priority, *values)]
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT id FROM ({heads}) AS heads ORDER BY due_time, id LIMIT {limit:d}", params)
            return [row[0] for row in cursor.fetchall()]

    # Executing

    def prepare_session(self) -> None:
        """Set up a new connection of an executor."""

    def session(self) -> Any:
        """What the two methods below need to know of the current thread's session. Asks nothing of the database."""
        return self.connection.connection

    @abstractmethod
    def interrupt_statement(self, session: Any) -> None:
        """Stop the statement that another thread's session is executing, if it is."""

    @abstractmethod
    def end_session(self, session: Any) -> None:
        """End another thread's session, so that its transaction vanishes, wherever that thread is."""

    def listen(self, ring: Callable[[], None], stopping: Event) -> None:
        """Call ``ring`` for the wake-ups of other processes until ``stopping``; where there are none, return."""

    def is_transaction_open(self) -> bool:
        """Whether nothing has ended the transaction that has begun, as far as that is known without asking."""
        return self.connection.in_atomic_block

    def is_transaction_intact(self) -> bool:
        """Whether no error has broken it either."""
        return self.is_transaction_open() and not self.connection.needs_rollback

    def mark_transaction(self) -> None:
        """Leave a mark in the open transaction, where nothing else shows whether it has been ended meanwhile."""

    def is_transaction_marked(self) -> bool:
        """Whether this is still the transaction that was marked; its mark goes."""
        return True

    def check_constraints_early(self) -> None:
        """Have deferred constraints checked by each statement of the open transaction, where there are any."""

    def may_group(self) -> bool:
        """Whether nothing in this database would notice that several mutations share a transaction."""
        return True

    # Errors

    def ends_transaction(self, error: BaseException) -> bool:
        """Whether the error of a statement has also undone what the transaction had done before."""
        return self.is_lost(error)

    def is_transient(self, error: BaseException | None) -> bool:
        """Whether the same again may succeed: a conflict, a timeout, a lost connection."""
        if isinstance(error, TransientError):
            return True
        return isinstance(error, DatabaseError | InterfaceError) and (
            self.is_lost(error) or self.is_conflict(error) or self._is_passing(error)
        )

    def is_interruption(self, error: BaseException) -> bool:
        """Whether somebody has stopped the statement or the session, as a cancel does."""
        return False

    @abstractmethod
    def is_conflict(self, error: BaseException) -> bool:
        """Whether the database has rolled the transaction back because it conflicted with another one."""

    @abstractmethod
    def is_lost(self, error: BaseException) -> bool:
        """Whether the connection is gone, or can no longer be used."""

    def _is_passing(self, error: BaseException) -> bool:
        """Whether another error will have passed after a while: a lock timeout, a full disk."""
        return False


def _earlier_than(lane: Lane | None) -> Sql:
    if lane is None:
        return Sql("")
    # The first comparison is what an index understands.
    return Sql(" AND due_time <= %s AND (due_time < %s OR id < %s)", lane.due_time, lane.due_time, lane.first_id)


def is_paused(lane: str) -> str:
    """Whether the queue of a lane is paused, as SQL."""
    return f"EXISTS (SELECT 1 FROM {PAUSES} pause WHERE pause.queue IN ('', {lane}.queue))"


def _besides(ids: Collection[int]) -> Sql:
    return Sql(f" AND id NOT IN ({', '.join(['%s'] * len(ids))})" if ids else "", *ids)
