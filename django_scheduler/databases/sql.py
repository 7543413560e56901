"""Rows are inserted and changed here, by SQL that all vendors understand, on the connection of the thread.

A change is part of a transition of the state machine (``record/transitions.py``). All times are those of one clock,
which says what is due: the database's, which all hosts share, or ``timezone.now()``, which tests can move.
"""

import json
import threading
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from django_scheduler.conf import get_settings
from django_scheduler.databases.contract import Contract
from django_scheduler.databases.rows import DUE_AT_ONCE, DUE_BEFORE, DUE_TIME, NOW, TABLE, DriverTime, NewRows
from django_scheduler.errors import ArgumentsTooLarge
from django_scheduler.models import FAR, ScheduledFunctionId, State
from django_scheduler.times import in_utc

T = TypeVar("T")

#: The columns that are given as JSON.
JSON_COLUMNS = {"args", "callbacks", "context", "result"}

ROWS_PER_STATEMENT = 1_000

#: MariaDB takes no statement of over 16 MiB, unless it is configured to.
BYTES_PER_STATEMENT = 4 * 1024 * 1024

#: From so many bytes on the arguments of a function are large: the database is asked how much it takes.
LARGE = 256 * 1024

#: How many ``pythons_clock()`` are open.
_open = 0


def uses_pythons_clock() -> bool:
    """Return whether ``timezone.now()`` decides what is due, and not the database's clock."""
    return _open > 0 or get_settings().CLOCK == "python"


@contextmanager
def pythons_clock() -> Iterator[None]:
    """Let ``timezone.now()`` decide, whatever ``DJANGO_SCHEDULER["CLOCK"]`` says: in all threads, for tests."""
    global _open
    _open += 1
    try:
        yield
    finally:
        _open -= 1


class Sql:
    """Holds a fragment of SQL with its parameters."""

    __slots__ = ("params", "text")

    def __init__(self, text: str, *params: Any) -> None:
        self.text = text
        self.params = params


class _ThisThread(threading.local):
    connection: BaseDatabaseWrapper | None = None


class SqlDatabase(Contract):
    """Knows the connection, the clock and the columns of a database, and inserts and changes rows."""

    #: Locks the rows that a SELECT returns and passes over those that are locked.
    skip_locked: ClassVar[str]
    #: The due time of what waits for a limit, in SQL: as a literal, so that the planner knows the partial index.
    far: ClassVar[str] = f"'{FAR:%Y-%m-%d %H:%M:%S}'"
    #: How a condition names the state of rows that are chosen by their ids, so that no index of one state is used.
    state_of_chosen: ClassVar[str] = "{}"
    #: What follows the name of a table where rows are chosen by their ids, so that no others are read.
    hint_of_ids: ClassVar[str] = ""

    def __init__(self, using: str) -> None:
        super().__init__(using)
        self._this_thread = _ThisThread()

    @property
    def connection(self) -> BaseDatabaseWrapper:
        # An executor asks for it a dozen times per function, and Django looks it up in a way that takes microseconds.
        return self._this_thread.connection or connections[self.using]

    @contextmanager
    def asked_on(self, connection: BaseDatabaseWrapper | None) -> Iterator[None]:
        """Ask on this connection within the block, in this thread, whatever a body has Django take for its own.

        ``None``: on that of Django's, as all code does outside of executors.
        """
        before, self._this_thread.connection = self._this_thread.connection, connection
        try:
            yield
        finally:
            self._this_thread.connection = before

    def later(self, time: DriverTime, seconds: float) -> DriverTime:
        """Return a time that is so many seconds after one that the driver has given, as the driver takes it."""
        return self.each_later(time, [seconds])[0]

    def each_later(self, time: DriverTime, seconds: Iterable[float]) -> list[DriverTime]:
        """Return the times that are so many seconds after one that the driver has given, as the driver takes them."""
        given = parsed(time)
        return [given + timedelta(seconds=each) for each in seconds]

    def elapsed(self, since: DriverTime, until: DriverTime) -> timedelta:
        """Return how much time lies between two times that the driver has given."""
        return parsed(until) - parsed(since)

    def instant(self, time: DriverTime) -> datetime:
        """Return a time that the driver has given, in UTC, as an aware ``datetime``."""
        given = parsed(time)
        return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)

    def end_time(self, claim_time: DriverTime, seconds: float) -> DriverTime | object:
        """Return when what was claimed then ended, so many seconds later, whatever the session takes for the time."""
        return NOW if uses_pythons_clock() else self.later(claim_time, seconds)

    def _now(self) -> Sql:
        if uses_pythons_clock():
            return Sql("%s", self.adapted(timezone.now()))
        return Sql(self.clock)

    def _json(self, text: str) -> str:
        """Return the SQL that makes text a JSON value."""
        return text

    def _text(self, column: str) -> str:
        """Return the SQL that makes a JSON column text."""
        return column

    def adapted(self, time: datetime) -> Any:
        """Return a time as the driver takes it: where the database knows no zones, in UTC."""
        if time.tzinfo is not UTC:
            time = in_utc(time)
        return self.connection.ops.adapt_datetimefield_value(time.replace(tzinfo=None))

    def _time(self, column: str) -> str:
        """Return the SQL that reads a time in UTC, whatever the zone of the session."""
        return column

    def _as_taken(self, time: Any) -> DriverTime:
        """Return a time that was read like that as the driver takes it."""
        taken: DriverTime = time
        return taken

    @abstractmethod
    def _scheduled_and_due(self, time: timedelta | datetime) -> tuple[Sql, Sql]:
        """Return when a function was asked to run, and when it is due, which is not before now."""

    @abstractmethod
    def seconds_until(self, column: str) -> Sql:
        """Return the SQL of how far a column lies ahead of now, in seconds."""

    # Inserting

    def insert(self, rows: NewRows, args: Sequence[str]) -> list[ScheduledFunctionId]:
        """Write a row for each of the arguments, or none, of whatever number and size; return their ids in that order.

        Raises ``ArgumentsTooLarge`` if those of one row are more than the database takes in a statement.
        """
        self.refuse_too_large(rows.name, max(args, key=len))
        first, *others = _in_statements(args, besides=len(rows.callbacks or "") + len(rows.context or ""))
        if not others and (len(args) == 1 or rows.ordered_by is None):
            return self._insert(rows, first)
        with transaction.atomic(using=self.using):
            return [function_id for statement in (first, *others) for function_id in self._insert_all(rows, statement)]

    def _insert_all(self, rows: NewRows, args: Sequence[str]) -> list[ScheduledFunctionId]:
        """Write a row for each of the arguments, and its place in the order of its limit, if it has one."""
        ids = self._insert(rows, args)
        if rows.ordered_by is not None and len(args) > 1:
            limits = dict(zip(ids, map(rows.ordered_by, args), strict=True))
            chosen = placeholders(ids)
            self._execute(
                f"UPDATE {TABLE}{self.hint_of_ids} SET waiting_since = due_time,"
                f" in_order_of = CASE id {'WHEN %s THEN %s ' * len(limits)}END WHERE id IN ({chosen})",
                [*(param for item in limits.items() for param in item), *ids],
            )
        return ids

    def refuse_too_large(self, name: str, largest: str) -> None:
        """Refuse what the database would refuse by ending the connection, and with it the transaction."""
        if len(largest) < LARGE:
            return
        limit = self.largest_statement(self.connection)
        escaped = len(largest) + sum(map(largest.count, "\\\"'"))
        if limit is not None and escaped + LARGE > limit:
            raise ArgumentsTooLarge(
                f"{name} was not scheduled: its arguments are {len(largest):,} bytes of JSON, and the database"
                f" {self.using!r} takes {limit:,} bytes in a statement (max_allowed_packet). Store the data, and pass"
                " what it can be found by."
            )

    def _insert(self, rows: NewRows, args: Sequence[str]) -> list[ScheduledFunctionId]:
        """Write a row for each of the arguments, in one statement, and return their ids in the same order."""
        limit = rows.ordered_by(args[0]) if rows.ordered_by is not None and len(args) == 1 else None
        columns, values, params = self._in_common(rows, limit)
        own, each = "args", self._json("%s")
        own_params: list[tuple[str, ...]] = [(text,) for text in args]
        if rows.fair_key is not None:
            own, each = f"{own}, tenant", f"{each}, %s"
            own_params = [(text, rows.tenant_of(text)) for text in args]
        one = f"{values}, {each})"
        new_ids = self._new_ids(len(args))
        return self._written(
            f"INSERT INTO {TABLE} ({'id, ' if new_ids[0] else ''}{columns}, {own})"
            f" VALUES {', '.join([f'({new_id}{one}' for new_id in new_ids])}",
            [param for each_own in own_params for param in (*params, *each_own)],
        )

    def _in_common(self, rows: NewRows, limit: str | None = None) -> tuple[str, str, list[Any]]:
        """Return the columns that new rows have in common, their values, and the parameters of these.

        ``limit``: in the order of which limit they begin.

        What is NULL or has a default is left out, and what the code alone knows is written into the statement: each
        parameter and each column costs a microsecond or two, on the way and in the server.
        """
        now = self._now()
        scheduled, due = self._scheduled_and_due(rows.time)
        if (other := rows.hand_over if rows.due is None else rows.due) is not None:
            due = self._scheduled_and_due(other)[1]
        columns = (
            "name, queue, kind, state, priority, attempts, failure, error, traceback, executor, scheduled_time,"
            " due_time, creation_time"
        )
        values = (
            f"%s, %s, '{rows.kind.value}', '{rows.state.value}', {rows.priority:d}, 0, '', '', '', '',"
            f" {scheduled.text}, {due.text}, {now.text}"
        )
        params = [rows.name, rows.queue, *scheduled.params, *due.params, *now.params]
        if rows.state is State.CANCELED:
            columns, values = f"{columns}, completed_time", f"{values}, {now.text}"
            params += now.params
        for column, value, param in (
            ("parent_id", "%s", rows.parent_id),
            ("context", self._json("%s"), rows.context),
            ("handed_over", "%s", None if rows.hand_over is None else True),
            ("callbacks", self._json("%s"), rows.callbacks),
            ("batch_id", "%s", rows.batch_id),
            ("call_key", "%s", rows.key),
        ):
            if param is not None:
                columns, values = f"{columns}, {column}", f"{values}, {value}"
                params.append(param)
        if rows.expires is not None:
            expires = self._scheduled_and_due(rows.expires)[0]
            columns, values = f"{columns}, expires_time", f"{values}, {expires.text}"
            params += expires.params
        if limit is not None:
            columns, values = f"{columns}, in_order_of, waiting_since", f"{values}, %s, {due.text}"
            params += [limit, *due.params]
        return columns, values, params

    def _new_ids(self, number: int) -> list[str]:
        """Return the SQL of the ids of so many rows, each with a comma; nothing where the database makes good ones."""
        return [""] * number

    def _written(self, statement: str, params: list[Any]) -> list[ScheduledFunctionId]:
        with self.connection.cursor() as cursor:
            cursor.execute(f"{statement} RETURNING id", params)
            # They ascend as the rows were written. Which order they are returned in, no database promises.
            return sorted(row[0] for row in cursor.fetchall())

    # Changing

    def _execute(self, statement: str, params: Sequence[Any]) -> int:
        """Execute a statement, and return how many rows it has changed."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement, params)
            return int(cursor.rowcount)

    def _condition(self, column: str) -> str:
        """Return the condition on a column of a row that is chosen by its id.

        That it waits for a limit has not changed when it is due.
        """
        if column == "due_time":
            return f"CASE WHEN due_time = {self.far} THEN waiting_since ELSE due_time END = %s"
        return f"{self.state_of_chosen.format(column) if column == 'state' else column} = %s"

    def change(self, function_id: int, changes: Mapping[str, Any], *, only_if: Mapping[str, Any]) -> bool:
        """Change a row if it still is as expected, and return whether it was.

        A changed value may be ``NOW``; that of ``due_time`` is a time, or a ``timedelta`` from now.
        """
        return bool(self.change_all([function_id], changes, only_if=only_if))

    def change_all(self, ids: Sequence[int], changes: Mapping[str, Any], *, only_if: Mapping[str, Any]) -> int:
        """Change those of the rows that are as expected, all in the same way; return how many they were."""
        assignments: list[str] = []
        params: list[Any] = []
        for column, value in changes.items():
            change = self._assigned(column, value)
            assignments.append(f"{column} = {change.text}")
            params += change.params
        conditions = " AND ".join(map(self._condition, only_if))
        chosen = placeholders(ids)
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {TABLE}{self.hint_of_ids} SET {', '.join(assignments)}"
                f" WHERE id IN ({chosen}) AND {conditions}",
                [*params, *ids, *only_if.values()],
            )
            return int(cursor.rowcount)

    def change_unless_held(self, function_id: int, changes: Mapping[str, Any], *, only_if: Mapping[str, Any]) -> bool:
        """Change a row as ``change`` does, without waiting for long for who has locked it, where the vendor can."""
        return self.change(function_id, changes, only_if=only_if)

    def change_each(
        self, rows: Sequence[Mapping[str, Any]], changes: Mapping[str, Any], *, only_if: Mapping[str, Any]
    ) -> int:
        """Change those of the rows that are due and as expected, in one round trip; return how many they were.

        ``rows``: the ``id`` of each, and its own values, as the driver takes them. ``changes``: what all are given.
        """
        assignments = [f"{column} = %s" for column in changes]
        params = list(changes.values())
        for column in (column for column in rows[0] if column != "id"):
            if any(row[column] is not None for row in rows):
                value = self._json("%s") if column == "result" else "%s"
                assignments.append(f"{column} = CASE id {f'WHEN %s THEN {value} ' * len(rows)}END")
                params += [each for row in rows for each in (row["id"], row[column])]
        now = self._now()
        conditions = "".join(f" AND {self._condition(column)}" for column in only_if)
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {TABLE}{self.hint_of_ids} SET {', '.join(assignments)}"
                f" WHERE id IN ({', '.join(['%s'] * len(rows))})"
                f"{conditions} AND due_time <= {now.text}",
                [*params, *(row["id"] for row in rows), *only_if.values(), *now.params],
            )
            return int(cursor.rowcount)

    def _assigned(self, column: str, value: Any) -> Sql:
        if value is NOW:
            return self._now()
        if value is DUE_TIME:
            return Sql("due_time")
        if value is DUE_BEFORE or value is DUE_AT_ONCE:
            now, otherwise = self._now(), Sql("due_time") if value is DUE_BEFORE else self._now()
            waits = "waits_for IS NOT NULL" if value is DUE_BEFORE else f"due_time = {self.far}"
            return Sql(
                f"CASE WHEN {waits} THEN COALESCE(waiting_since, {now.text}) ELSE {otherwise.text} END",
                *now.params,
                *otherwise.params,
            )
        if column == "due_time":
            return self._scheduled_and_due(value)[1]
        if column == "expires_time" and value is not None:
            return self._scheduled_and_due(value)[0]
        if column == "history" and value is not None:
            return Sql(self._json("%s"), json.dumps(value))
        return Sql(self._json("%s") if column in JSON_COLUMNS else "%s", value)


def placeholders(values: Collection[object]) -> str:
    """Return a placeholder for each of the values, with commas in between."""
    return ", ".join(["%s"] * len(values))


def portions(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield as many of the items at a time as one statement names."""
    for start in range(0, len(items), ROWS_PER_STATEMENT):
        yield items[start : start + ROWS_PER_STATEMENT]


def _in_statements(args: Sequence[str], *, besides: int) -> Iterator[list[str]]:
    """Yield the arguments of the rows of each statement; ``besides``: how many bytes each row has besides them."""
    statement: list[str] = []
    size = 0
    for text in args:
        if statement and (len(statement) == ROWS_PER_STATEMENT or size + len(text) + besides > BYTES_PER_STATEMENT):
            yield statement
            statement, size = [], 0
        statement.append(text)
        size += len(text) + besides
    yield statement


def parsed(time: DriverTime) -> datetime:
    return datetime.fromisoformat(time) if isinstance(time, str) else time
