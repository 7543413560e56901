"""Queries ask a database by SQL that all vendors understand: schedule, look, claim, change.

Lane means the pending functions of one queue and one priority. A look finds the lanes and when each is due; a claim
locks the first due rows of a lane and passes over those that are locked; a change is part of a transition of the state
machine (``record/transitions.py``). A vendor overrides what it can do better, or has to do in another way. All times
are those of one clock, which says what is due.
"""

import threading
import time
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, ClassVar

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, F, Func, Model
from django.db.models.lookups import In
from django.utils import timezone

from django_scheduler import times
from django_scheduler.databases import django_internals
from django_scheduler.databases.contract import NOW, TABLE, Claimable, Contract, Lane, Left, NewRows, Wanted
from django_scheduler.fields import InstantSQL
from django_scheduler.models import Pause, ScheduledFunctionId, State

PAUSES = Pause._meta.db_table

#: For how long what was read of the catalog is taken to be so, in seconds.
CATALOG_SECONDS = 10.0


class Sql:
    """Holds a fragment of SQL with its parameters."""

    __slots__ = ("params", "text")

    def __init__(self, text: str, *params: Any) -> None:
        self.text = text
        self.params = params


def is_paused(queue: str) -> str:
    """Return the SQL that says whether a queue is paused."""
    return f"EXISTS (SELECT 1 FROM {PAUSES} pause WHERE pause.queue IN ('', {queue}))"


def passing_over(ids: Collection[int]) -> Sql:
    """Return a condition that none of these functions meets."""
    return Sql(f" AND id NOT IN ({', '.join(['%s'] * len(ids))})" if ids else "", *ids)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Holds what was read of the catalog of a database."""

    special_relations: frozenset[str] = frozenset()
    read_again_at: float = 0.0
    #: How many triggers there were, and the latest of them.
    triggers: object = None


class _ThisThread(threading.local):
    connection: BaseDatabaseWrapper | None = None


class Database(Contract):
    """Answers all that can be asked of a database."""

    #: Locks the rows that a SELECT returns and passes over those that are locked.
    skip_locked: ClassVar[str]
    #: What a claim selects besides, to let a cancel know that this transaction executes a function.
    mark_executing: ClassVar[str] = "NULL"
    #: A condition that a row does not meet while a mutation is executing that has locked it, where that can be seen.
    not_executing: ClassVar[str] = "TRUE"

    #: How a condition names the state of rows that are chosen by their ids, so that no index of one state is used.
    state_of_chosen: ClassVar[str] = "{}"

    #: A condition that only what comes before a function meets. The first comparison is what an index understands.
    earlier: ClassVar[str] = " AND due_time <= %s AND (due_time < %s OR id < %s)"

    #: The statement by which the catalog tells its ``special_relations``.
    special_relations_sql: ClassVar[str]

    def __init__(self, using: str) -> None:
        super().__init__(using)
        self._catalog = Catalog()
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

    def later(self, time: Any, seconds: float) -> Any:
        """Return a time that is so many seconds after one that the driver has given, as the driver takes it."""
        return self.each_later(time, [seconds])[0]

    def each_later(self, time: Any, seconds: Iterable[float]) -> list[Any]:
        """Return the times that are so many seconds after one that the driver has given, as the driver takes them."""
        given = _parsed(time)
        return [given + timedelta(seconds=each) for each in seconds]

    def elapsed(self, since: Any, until: Any) -> timedelta:
        """Return how much time lies between two times that the driver has given."""
        return _parsed(until) - _parsed(since)

    def end_time(self, claim_time: Any, seconds: float) -> Any:
        """Return when what was claimed then ended, so many seconds later, whatever the session takes for the time."""
        return NOW if times.is_pythons() else self.later(claim_time, seconds)

    def now(self) -> InstantSQL:
        """Return the present for the ORM, by the clock that decides what is due."""
        now = self._now()
        return InstantSQL(now.text, now.params)

    def _now(self) -> Sql:
        if times.is_pythons():
            return Sql("%s", self.adapted(timezone.now()))
        return Sql(self.clock)

    def ago(self, length: timedelta) -> InstantSQL:
        """Return a time in the past for the ORM, by the same clock, counted without regard to any zone."""
        then = self._scheduled_and_due(-length)[0]
        return InstantSQL(then.text, then.params)

    def for_orm(self, value: Any) -> Any:
        """Return a value that is written as the ORM takes it.

        It may be ``NOW``; a time, or a ``timedelta`` from now, is that of ``due_time``, and is not before now.
        """
        if value is NOW:
            return self.now()
        if isinstance(value, timedelta | datetime):
            due = self._scheduled_and_due(value)[1]
            return InstantSQL(due.text, due.params)
        return value

    def current_time(self) -> datetime:
        """Return the present, by the same clock."""
        return timezone.now() if times.is_pythons() else self._current_time()

    def _current_time(self) -> datetime:
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {self._time(self.clock)}")
            time: datetime = cursor.fetchone()[0]
        return time.replace(tzinfo=UTC)

    def _json(self, text: str) -> str:
        """Return the SQL that makes text a JSON value."""
        return text

    def _text(self, column: str) -> str:
        """Return the SQL that makes a JSON column text."""
        return column

    @property
    def zone_of_columns(self) -> tzinfo:
        """Return the zone in which Django's date functions have to be asked to take our columns for UTC."""
        connection: Any = self.connection
        zone: tzinfo = UTC if connection.features.supports_timezones else connection.timezone
        return zone

    def adapted(self, time: datetime) -> Any:
        """Return a time as the driver takes it: where the database knows no zones, in UTC."""
        return self.connection.ops.adapt_datetimefield_value(times.in_utc(time).replace(tzinfo=None))

    def _time(self, column: str) -> str:
        """Return the SQL that reads a time in UTC, whatever the zone of the session."""
        return column

    def _as_taken(self, time: Any) -> Any:
        """Return a time that was read like that as the driver takes it."""
        return time

    @abstractmethod
    def _scheduled_and_due(self, time: timedelta | datetime) -> tuple[Sql, Sql]:
        """Return when a function was asked to run, and when it is due, which is not before now."""

    @abstractmethod
    def seconds_until(self, column: str) -> Sql:
        """Return the SQL of how far a column lies ahead of now, in seconds."""

    # Scheduling

    def insert(self, rows: NewRows, args: Sequence[str]) -> list[ScheduledFunctionId]:
        """Write a row for each of the arguments, in one statement, and return their ids in the same order."""
        columns, values, params = self._in_common(rows)
        one = f"{values}, {self._json('%s')})"
        new_ids = self._new_ids(len(args))
        return self._insert(
            f"INSERT INTO {TABLE} ({'id, ' if new_ids[0] else ''}{columns}, args)"
            f" VALUES {', '.join([f'({new_id}{one}' for new_id in new_ids])}",
            [param for text in args for param in (*params, text)],
        )

    def _in_common(self, rows: NewRows) -> tuple[str, str, list[Any]]:
        """Return the columns that new rows have in common, their values, and the parameters of these.

        What is NULL or has a default is left out, and what the code alone knows is written into the statement: each
        parameter and each column costs a microsecond or two, on the way and in the server.
        """
        now = self._now()
        scheduled, due = self._scheduled_and_due(rows.time)
        if rows.hand_over is not None:
            due = self._scheduled_and_due(rows.hand_over)[1]
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
            ("trace_context", "%s", rows.trace_context),
            ("context", self._json("%s"), rows.context),
            ("handed_over", "%s", None if rows.hand_over is None else True),
        ):
            if param is not None:
                columns, values = f"{columns}, {column}", f"{values}, {value}"
                params.append(param)
        return columns, values, params

    def _new_ids(self, number: int) -> list[str]:
        """Return the SQL of the ids of so many rows, each with a comma; nothing where the database makes good ones."""
        return [""] * number

    def _insert(self, statement: str, params: list[Any]) -> list[ScheduledFunctionId]:
        with self.connection.cursor() as cursor:
            cursor.execute(f"{statement} RETURNING id", params)
            # They ascend as the rows were written. Which order they are returned in, no database promises.
            return sorted(row[0] for row in cursor.fetchall())

    def delete(self, model: type[Model], ids: Sequence[int]) -> int:
        """Delete rows by their ids, and nothing else: they are not loaded, and no signal is sent."""
        with self.connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {model._meta.db_table} WHERE id IN ({', '.join(['%s'] * len(ids))})", ids)
            return int(cursor.rowcount)

    # Looking

    def lanes(self, *, besides: Collection[int] = (), left: Left | None = None, since: Any = None) -> list[Lane]:
        """Return every queue and priority that has pending functions.

        ``besides``: ids to pass over. ``left``: what to pass over as well. ``since``: only what is due then or later.
        """
        over = self._passing_over(besides, left)
        if since is not None:
            over = Sql(f"{over.text} AND due_time >= %s", *over.params, since)
        return self._read_lanes(self._lanes(over))

    def _read_lanes(self, sql: Sql) -> list[Lane]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql.text, sql.params)
            return [
                Lane(queue, priority, float(due_in), self._as_taken(due_time), first_id, bool(is_paused))
                for queue, priority, due_in, due_time, first_id, is_paused in cursor.fetchall()
            ]

    def _lanes(self, besides: Sql) -> Sql:
        # From the first entry of one lane the index is entered anew at the first entry of the next one, so the
        # cost grows with the number of lanes and not with that of the pending functions. (A comparison of rows,
        # (queue, priority) > (...), would read the whole lane.)
        first = f"SELECT id FROM {TABLE} WHERE state = 'pending'{besides.text}"
        order = "ORDER BY queue, priority, due_time, id LIMIT 1"
        due_in = self.seconds_until("due_time")
        return Sql(
            f"WITH RECURSIVE lanes (queue, priority, due_time, id) AS ("
            f" SELECT queue, priority, due_time, id FROM {TABLE} WHERE id = ({first} {order})"
            f" UNION ALL"
            f" SELECT head.queue, head.priority, head.due_time, head.id FROM lanes JOIN {TABLE} head ON head.id ="
            f" COALESCE(({first} AND queue = lanes.queue AND priority > lanes.priority {order}),"
            f" ({first} AND queue > lanes.queue {order})))"
            f" SELECT queue, priority, {due_in.text}, {self._time('due_time')}, id, {is_paused('lanes.queue')}"
            " FROM lanes",
            *besides.params,
            *besides.params,
            *besides.params,
            *due_in.params,
        )

    def look_again(
        self, lanes: Collection[Lane], *, besides: Collection[int] = (), left: Left | None = None
    ) -> list[Lane]:
        """Return those of the lanes that have pending functions from where they began, and where they begin now.

        Cheaper than ``lanes`` where the index has many entries of functions that have ended since. This default looks
        at all lanes.
        """
        return self.lanes(besides=besides, left=left)

    def next_due_in(self, lane: Lane) -> float | None:
        """Return in how many seconds the next function of a lane is due that is not due yet, or ``None``."""
        now = self._now()
        due_in = self.seconds_until("due_time")
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {due_in.text} FROM {TABLE} WHERE state = 'pending' AND queue = %s AND priority = %s"
                f" AND due_time > {now.text} ORDER BY due_time LIMIT 1",
                [*due_in.params, lane.queue, lane.priority, *now.params],
            )
            row = cursor.fetchone()
        return None if row is None else float(row[0])

    # Claiming

    def claim(self, lane: Lane, wanted: Wanted, *, most: int) -> list[Claimable]:
        if lane.due_time is None or lane.only_first:
            claimed = self._claim_first(lane, wanted)
            if claimed is not None:
                return claimed
        if lane.due_time is None:
            chosen = self._pending(lane.first_id)
        else:
            first = lane.queue, lane.priority, lane.due_time
            chosen = Sql("state = 'pending' AND queue = %s AND priority = %s AND due_time >= %s", *first)
        conditions = [chosen, *self._conditions(wanted), Sql(f" AND NOT {is_paused('%s')}", lane.queue)]
        source = Sql(
            f"{TABLE} WHERE {''.join(each.text for each in conditions)} ORDER BY due_time, id LIMIT {most:d}"
            f" {self.skip_locked}",
            *(param for each in conditions for param in each.params),
        )
        return self._claim(self._locking(source))

    def _claim_first(self, lane: Lane, wanted: Wanted) -> list[Claimable] | None:
        """Claim the first function of a lane as ``claim`` does, where that is quicker. ``None``: it is not."""
        return None

    def _conditions(self, wanted: Wanted) -> list[Sql]:
        now = self._now()
        return [
            Sql(f" AND due_time <= {now.text}", *now.params),
            self._earlier_than(wanted.before),
            self._passing_over(wanted.besides, wanted.left),
            _healthy(wanted.unhealthy),
        ]

    def _earlier_than(self, lane: Lane | None) -> Sql:
        return Sql("") if lane is None else Sql(self.earlier, lane.due_time, lane.due_time, lane.first_id)

    def claim_again(self, function_id: int) -> Claimable | None:
        """Lock this function, if it is still pending and due, and nobody else has locked it."""
        now = self._now()
        return self._claim_by_id(function_id, Sql(f"due_time <= {now.text}", *now.params))

    def claim_handed_over(self, function_id: int) -> Claimable | None:
        """Lock this function as ``claim_again`` does, also before it is due again if it has been handed over."""
        now = self._now()
        return self._claim_by_id(function_id, Sql(f"(due_time <= {now.text} OR handed_over)", *now.params))

    def _claim_by_id(self, function_id: int, condition: Sql) -> Claimable | None:
        chosen = self._pending(function_id)
        text = f"{TABLE} WHERE {chosen.text} AND {condition.text} {self.skip_locked}"
        return next(iter(self._claim(self._locking(Sql(text, *chosen.params, *condition.params)))), None)

    def _pending(self, function_id: int) -> Sql:
        """Return a condition that only this function meets, while it is pending."""
        return Sql(f"id = %s AND {self._condition('state')}", function_id, State.PENDING.value)

    def _passing_over(self, ids: Collection[int], left: Left | None) -> Sql:
        """Return a condition that none of these functions meets, and none that is left to others."""
        executing = passing_over(ids)
        if left is None:
            return executing
        over = self._scheduled_and_due(-left.grace)[0]
        return Sql(
            f"{executing.text} AND (unknown_since IS NULL OR unknown_since <= {over.text} OR unknown_to NOT LIKE %s)",
            *executing.params,
            *over.params,
            f"%{left.code}%",
        )

    def _locking(self, source: Sql, columns: str = "") -> Sql:
        """Return the statement that reads what a claim has to know of the rows of a source, which locks them."""
        now = self._now()
        until_due = self.seconds_until("due_time")
        return Sql(
            f"SELECT id, name, kind, queue, {self._text('args')}, {self._text('context')}, attempts,"
            f" {self._time(now.text)}, {until_due.text}, {self._time('due_time')}, {self._time('unknown_since')},"
            f" unknown_to, trace_context, error, same_errors, {self.mark_executing}{columns}"
            f" FROM {source.text}",
            *now.params,
            *until_due.params,
            *source.params,
        )

    def _claim(self, claim: Sql) -> list[Claimable]:
        with self.connection.cursor() as cursor:
            cursor.execute(claim.text, claim.params)
            return list(map(self._claimable, cursor.fetchall()))

    def _claimable(self, row: Sequence[Any]) -> Claimable:
        *first, at, due_in, due_time, since, unknown_to, trace_context, error, same_errors, _mark_executing = row
        at, due_time, since = self._as_taken(at), self._as_taken(due_time), since and self._as_taken(since)
        return Claimable(*[*first, at, due_in, due_time, since, unknown_to, trace_context, error, same_errors])

    # The transaction in which mutations execute

    def is_transaction_open(self) -> bool:
        return django_internals.is_in_atomic_block(self.connection)

    def is_transaction_intact(self) -> bool:
        """Return whether the transaction is open, and no error has broken it."""
        return self.is_transaction_open() and not django_internals.is_marked_for_rollback(self.connection)

    def mark_transaction(self) -> None:
        return None

    def is_transaction_marked(self) -> bool:
        return True

    def session(self) -> Any:
        return django_internals.driver_of(self.connection)

    def _finds_elsewhere(self, sql: str, *params: Any) -> bool:
        """Return whether there is such a row, on another connection: this thread's is busy."""
        connection = self.new_connection()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, params)
                return cursor.fetchone() is not None
        finally:
            connection.close()

    # Grouping

    def special_relations(self) -> frozenset[str]:
        """Return the names of the tables that do more than keep rows, in lower case.

        Those with triggers, rules or row-level security of the user's, or with defaults and constraints that call the
        user's functions; those whose rows make the database change rows of such tables; views; and tables without
        transactions. And those of functions of the user's that no statement tells from harmless ones. Mutations that
        share a transaction must not touch them. They are read again every
        ``CATALOG_SECONDS``.
        """
        known, connection = self._catalog, self.connection
        if time.monotonic() >= known.read_again_at:
            with django_internals.leaving_nothing(connection), connection.cursor() as cursor:
                cursor.execute(self.special_relations_sql)
                names = frozenset(row[0] for row in cursor.fetchall())
            self._catalog = known = Catalog(names, time.monotonic() + CATALOG_SECONDS)
        return known.special_relations

    # Changing

    def is_in_state(self, *states: str) -> In:
        """Return the ORM's condition that rows, which are chosen by their ids, are in one of the states."""
        template = self.state_of_chosen.format("%(expressions)s")
        return In(Func(F("state"), template=template, output_field=CharField()), states)

    def _condition(self, column: str) -> str:
        """Return the condition on a column of a row that is chosen by its id."""
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
        chosen = ", ".join(["%s"] * len(ids))
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {TABLE} SET {', '.join(assignments)} WHERE id IN ({chosen}) AND {conditions}",
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
                f"UPDATE {TABLE} SET {', '.join(assignments)} WHERE id IN ({', '.join(['%s'] * len(rows))})"
                f"{conditions} AND due_time <= {now.text}",
                [*params, *(row["id"] for row in rows), *only_if.values(), *now.params],
            )
            return int(cursor.rowcount)

    def _assigned(self, column: str, value: Any) -> Sql:
        if value is NOW:
            return self._now()
        if column == "due_time":
            return self._scheduled_and_due(value)[1]
        return Sql(self._json("%s") if column == "result" else "%s", value)


def _parsed(time: Any) -> datetime:
    return datetime.fromisoformat(time) if isinstance(time, str) else time


def _healthy(unhealthy: Collection[str] | None) -> Sql:
    """Return a condition that only first attempts meet, and none of functions of these names; ``None``: all do."""
    if unhealthy is None:
        return Sql("")
    names = f" AND name NOT IN ({', '.join(['%s'] * len(unhealthy))})" if unhealthy else ""
    return Sql(f" AND attempts = 0{names}", *unhealthy)
