"""PostgreSQL skips locked rows, notifies executors, and can interrupt an executing mutation."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from django_scheduler.databases import django_internals, silence
from django_scheduler.databases.claiming import ORDER_OF_PENDING, is_paused
from django_scheduler.databases.postgresql import bulk, interruption, listening
from django_scheduler.databases.postgresql.catalog import SPECIAL_RELATIONS, TRIGGERS
from django_scheduler.databases.postgresql.interruption import (
    EXECUTING,
    EXECUTING_LIMITED,
    INTERRUPTED,
    LOCK_NOT_AVAILABLE,
    sqlstate,
)
from django_scheduler.databases.postgresql.prepared_claims import PreparedClaims
from django_scheduler.databases.postgresql.several_lanes import MICROSECOND, array, in_each, quoted
from django_scheduler.databases.queries import CATALOG_SECONDS, Catalog
from django_scheduler.databases.rows import (
    TABLE,
    Claimable,
    DueFunction,
    Lane,
    Left,
    NewRows,
    Wanted,
    WantedSlots,
    in_order,
)
from django_scheduler.databases.slots import InSql, size_of_limit
from django_scheduler.databases.sql import Sql
from django_scheduler.models import FAR, ScheduledFunctionId
from django_scheduler.telemetry import warn

CHANNEL = "django_scheduler"

#: How long a record waits for a transaction that is deciding about its function, in milliseconds.
LOCK_TIMEOUT_OF_A_RECORD = 1000

#: How often an executor looks that wake-ups do not reach, in seconds.
POLL_INTERVAL_WITHOUT_WAKEUPS = 0.5

#: What the transaction status of psycopg 2 and 3 means.
IN_TRANSACTION, IN_BROKEN_TRANSACTION = 2, 3

#: What meets a limit of the site would meet it again: ``statement_timeout``, ``temp_file_limit``,
#: ``idle_in_transaction_session_timeout``, ``transaction_timeout``. (A cancel of ours ends the session instead.)
LIMITS_OF_THE_SITE = {"57014", "53400", "25P03", "25P04"}

#: How executors' sessions call themselves.
APPLICATION_NAME = "django_scheduler"


#: What executors' sessions set.
SETTINGS = {
    "application_name": APPLICATION_NAME,
    # Without it the server notices only at the end of a statement that its client has died, and the
    # function that it was executing stays locked until then. (PostgreSQL 14 on Linux and macOS.)
    "client_connection_check_interval": "500",
    # An executor that has nothing to do keeps its sessions. (PostgreSQL 14.)
    "idle_session_timeout": "0",
    # Without these a function stays locked for hours if the host of its executor has vanished. A socket of Unix has
    # none of them, and a pooler has them for its own connection to the server.
    "tcp_keepalives_idle": str(silence.KEEP_ALIVE["TCP_KEEPIDLE"]),
    "tcp_keepalives_interval": str(silence.KEEP_ALIVE["TCP_KEEPINTVL"]),
    "tcp_keepalives_count": str(silence.KEEP_ALIVE["TCP_KEEPCNT"]),
    "tcp_user_timeout": str(silence.KEEP_ALIVE["TCP_USER_TIMEOUT"]),
}


class PostgreSQL(PreparedClaims):
    an_error_breaks_the_transaction = True
    deferred_checks = "SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED"
    poll_interval = 5.0
    _cannot_listen = False
    clock = "STATEMENT_TIMESTAMP()"
    # NO KEY: a row of the user's that refers to this one by a foreign key can be inserted meanwhile.
    skip_locked = f"FOR NO KEY UPDATE OF {TABLE} SKIP LOCKED"
    # Of this transaction alone, so that it reaches the server and leaves it through any connection pool.
    # A subquery, so that it is done once and not for every row.
    mark_executing = f"(SELECT set_config('application_name', '{EXECUTING}', true))"
    far = f"TIMESTAMPTZ '{FAR.isoformat()}'"
    lock_slot = "FOR NO KEY UPDATE OF slot SKIP LOCKED"
    those_locked = "id = ANY(ARRAY(SELECT id FROM ({}) AS free_ones))"  # executed once, whatever the planner expects
    is_locked = (
        "xmax IN (SELECT backend_xid FROM pg_stat_activity"
        f" WHERE application_name = '{EXECUTING_LIMITED}' AND backend_xid IS NOT NULL)"
    )
    # From this the planner cannot prove that an index of the rows of one state has the row. With the column alone it
    # takes such an index for smaller than the primary key, if its statistics are from when there were few such rows,
    # and then all of it is read: with 100,000 rows 8 ms instead of 0.1. (IS TRUE, and COALESCE, it sees through, or
    # will.)
    state_of_chosen = "{} || ''"
    # Where the planner expects that few of those that wait are pending, it reads and sorts all that wait for a limit
    # (200 for each of 300 limits: 60 ms and more instead of 5).
    met_by_most = "CASE WHEN {} THEN true END"
    earlier = " AND due_time <= %s AND (due_time, id) < (%s, %s)"  # the index reads nothing of the same time in vain
    position_of_blank = "STRPOS({}, ' ')"
    # A row that several transactions share names none of them, and is taken for one that nobody executes.
    not_executing = (
        "xmax NOT IN (SELECT backend_xid FROM pg_stat_activity"
        f" WHERE application_name IN ('{EXECUTING}', '{EXECUTING_LIMITED}') AND backend_xid IS NOT NULL)"
    )

    def _insert(self, rows: NewRows, args: Sequence[str]) -> list[ScheduledFunctionId]:
        if len(args) == 1:
            return super()._insert(rows, args)
        # One parameter, whatever the number. With VALUES for each row the server took 19 µs a row instead of 3, and
        # with an array of texts 6. Ids are made above the sort, so they ascend with the position.
        columns, values, params = self._in_common(rows)
        own, sources, each = "args", "jsonb_array_elements(%s::jsonb)", [f"[{','.join(args)}]"]
        if rows.fair_key is not None:
            own, sources = f"{own}, tenant", f"{sources}, unnest(%s::text[])"
            each.append(array(quoted(rows.tenant_of(text)) for text in args))
        return self._written(
            f"INSERT INTO {TABLE} ({columns}, {own}) SELECT {values}, {own} FROM ROWS FROM ({sources})"
            f" WITH ORDINALITY AS own ({own}, position) ORDER BY position",
            [*params, *each],
        )

    def _scheduled_and_due(self, time: timedelta | datetime) -> tuple[Sql, Sql]:
        now = self._now()
        if not time:
            return now, now
        if isinstance(time, timedelta):
            # As microseconds: days would be those of the session's zone, and the clocks' change an hour longer or
            # shorter.
            length = time // MICROSECOND
            after = Sql(f"{now.text}::timestamptz + %s * INTERVAL '1 microsecond'", *now.params, length)
            return after, after
        return Sql("%s", time), Sql(f"GREATEST(%s::timestamptz, {now.text}::timestamptz)", time, *now.params)

    def seconds_until(self, column: str) -> Sql:
        now = self._now()
        return Sql(f"EXTRACT(EPOCH FROM {column} - {now.text}::timestamptz)::float8", *now.params)

    def _json(self, text: str) -> str:
        return f"{text}::jsonb"

    def _text(self, column: str) -> str:
        return f"{column}::text"

    def adapted(self, time: datetime) -> datetime:
        return time

    def _time(self, column: str) -> str:
        return f"{column} AT TIME ZONE 'UTC'"

    def _as_taken(self, time: datetime) -> datetime:
        return time.replace(tzinfo=UTC)

    def send_wakeup(self, due_function: DueFunction | None = None) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(listening.notify(CHANNEL, due_function))

    def _lanes(self, besides: Sql) -> Sql:
        # As elsewhere, but nothing is joined by the id: where a condition, such as one on the due time, has the planner
        # expect that next to nothing is found, the join reads the whole table (285,000 rows: 105 ms instead of 0.35).
        entry, due_in = f"SELECT {ORDER_OF_PENDING} FROM", self.seconds_until("due_time")
        pending = f"{TABLE} WHERE state = 'pending'{besides.text}"
        first = f"ORDER BY {ORDER_OF_PENDING} LIMIT 1"
        return Sql(
            f"WITH RECURSIVE lanes ({ORDER_OF_PENDING}) AS ("
            f"({entry} {pending} {first})"
            f" UNION ALL SELECT head.queue, head.priority, head.tenant, head.due_time, head.id FROM lanes"
            f" CROSS JOIN LATERAL ("
            f"({entry} {pending} AND queue = lanes.queue AND priority = lanes.priority AND tenant > lanes.tenant"
            f" {first}) UNION ALL ({entry} {pending} AND queue = lanes.queue AND priority > lanes.priority {first})"
            f" UNION ALL ({entry} {pending} AND queue > lanes.queue {first}) LIMIT 1) AS head)"
            f" SELECT queue, priority, tenant, {due_in.text}, {self._time('due_time')}, id, {is_paused('lanes.queue')}"
            " FROM lanes",
            *besides.params,
            *besides.params,
            *besides.params,
            *besides.params,
            *due_in.params,
        )

    def look_again(
        self, lanes: Collection[Lane], *, besides: Collection[int] = (), left: Left | None = None
    ) -> list[Lane]:
        # Finished functions stay in the index as long as somebody's snapshot may still see them pending. Reading
        # each lane from where it began skips them: with 100,000 of them 0.1 ms instead of 30.
        due_in, passed_over = self.seconds_until("own.due_time"), self._passing_over([], left)
        others = f" AND id <> ALL(%s::bigint[]){passed_over.text} ORDER BY due_time, id LIMIT 1"
        heads = in_each(list(lanes), "due_time, id", Sql(others, array(besides), *passed_over.params))
        return self._read_lanes(
            Sql(
                f"SELECT of_queue, of_priority, of_tenant, {due_in.text}, {self._time('own.due_time')}, own.id,"
                f" {is_paused('of_queue')} FROM {heads.text}",
                *due_in.params,
                *heads.params,
            )
        )

    def claim_in_several(self, lanes: Sequence[Lane], wanted: Wanted, *, most: int, of_each: int) -> list[Claimable]:
        conditions = self._conditions(wanted)
        rest = (
            f"{''.join(each.text for each in conditions)} AND NOT {is_paused('of_queue')}"
            f" ORDER BY due_time, id LIMIT {of_each:d} {self.skip_locked}"
        )
        chosen = in_each(lanes, "*", Sql(rest, *(param for each in conditions for param in each.params)))
        return sorted(self._claim(self._locking(Sql(f"{chosen.text} LIMIT {most:d}", *chosen.params))), key=in_order)

    def change_each(
        self, rows: Sequence[Mapping[str, Any]], changes: Mapping[str, Any], *, only_if: Mapping[str, Any]
    ) -> int:
        values = {**changes, **bulk.in_common(rows)}
        now = self._now()
        conditions = " AND ".join([*map(self._condition, only_if), f"due_time <= {now.text}"])
        change = bulk.update_of_each(
            rows,
            {column: self._assigned(column, value) for column, value in values.items()},
            Sql(conditions, *only_if.values(), *now.params),
        )
        return self._execute(change.text, change.params)

    def _free_slots(self, wanted: Sequence[WantedSlots], own_ids: Collection[int]) -> Sql:
        # With a part for each limit, to plan the statement takes 9 ms for ten of them, and 335 for a hundred.
        keeps_order = any(each.keeps_order for each in wanted)
        limit = InSql(Sql("wanted.of_limit"), Sql(size_of_limit("wanted.name", "wanted.size")))
        own = self._free_slots_of(limit, "wanted.number", own_ids, keeps_order)
        # So that a cancel of one of these functions waits for its end.
        mark = f"(SELECT set_config('application_name', '{EXECUTING_LIMITED}', true)) <> ''"
        columns: list[Any] = [list(column) for column in zip(*(each[:4] for each in wanted), strict=True)]
        return Sql(
            "SELECT own.* FROM unnest(%s::text[], %s::text[], %s::int[], %s::int[]) AS wanted (of_limit, name, size,"
            f" number) CROSS JOIN LATERAL ({own.text}) AS own WHERE {mark}",
            *columns,
            *own.params,
        )

    def _of_each(self, numbers: Mapping[str, int], select: Callable[[Sql, str], Sql]) -> Iterator[Sql]:
        if len(numbers) <= 1:
            yield from super()._of_each(numbers, select)
            return
        own = select(Sql("wanted.of_limit"), "wanted.number")
        yield Sql(
            "SELECT own.* FROM unnest(%s::text[], %s::int[]) AS wanted (of_limit, number)"
            f" CROSS JOIN LATERAL ({own.text}) AS own",
            list(numbers),
            list(numbers.values()),
            *own.params,
        )

    def _free_rate_slots(self, wanted: Sequence[WantedSlots]) -> Sql:
        since = f"{self._now().text}::timestamptz - wanted.microseconds * INTERVAL '1 microsecond'"
        size = Sql(size_of_limit("wanted.name", "wanted.size"))
        limit = InSql(Sql("wanted.of_limit"), size)
        own = self._locked_rate_slots(limit, Sql(since, *self._now().params), "wanted.number")
        columns = [
            [each.limit for each in wanted],
            [each.name for each in wanted],
            [each.size for each in wanted],
            [each.number for each in wanted],
            [(each.window or timedelta()) // MICROSECOND for each in wanted],
        ]
        return Sql(
            "SELECT own.* FROM unnest(%s::text[], %s::text[], %s::int[], %s::int[], %s::bigint[]) AS wanted (of_limit,"
            f" name, size, number, microseconds) CROSS JOIN LATERAL ({own.text}) AS own",
            *columns,
            *own.params,
        )

    def lock_rows(self, ids: Collection[int]) -> None:
        interruption.lock_rows(self.using, ids)

    def change_unless_held(self, function_id: int, changes: Mapping[str, Any], *, only_if: Mapping[str, Any]) -> bool:
        try:
            with transaction.atomic(using=self.using):
                with self.connection.cursor() as cursor:
                    cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(LOCK_TIMEOUT_OF_A_RECORD)])
                return self.change(function_id, changes, only_if=only_if)
        except OperationalError as error:
            if sqlstate(error) != LOCK_NOT_AVAILABLE:
                raise
            return False

    @contextmanager
    def time_limit(self, seconds: float) -> Iterator[None]:
        # Of this transaction alone, so that it leaves a connection pool unchanged. In a savepoint, whose end
        # does not end it, we put back what was.
        is_outermost = not django_internals.is_in_atomic_block(self.connection)
        with transaction.atomic(using=self.using), self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('statement_timeout'), set_config('statement_timeout', %s, true)",
                [f"{max(1, round(seconds * 1000))}ms"],
            )
            before = cursor.fetchone()[0]
            yield
            if not is_outermost:
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [before])

    def is_time_up(self, error: BaseException) -> bool:
        return sqlstate(error) == "57014"

    # Executing

    def prepare_session(self) -> None:
        self._set(self.connection, SETTINGS)
        silence.keep_alive(self._driver.fileno())

    def _set(self, connection: BaseDatabaseWrapper, settings: Mapping[str, str]) -> None:
        """Set those of the settings that the server has, for the whole session."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config(name, value, false) FROM pg_settings"
                " JOIN unnest(%s::text[], %s::text[]) AS own (name, value) USING (name)",
                [list(settings), list(settings.values())],
            )

    def interrupt_statement(self, session: Any) -> None:
        if hasattr(session, "cancel_safe"):  # psycopg 3
            session.cancel_safe()
        else:
            session.cancel()

    def end_session(self, session: Any) -> None:
        # Not pg_terminate_backend: behind a connection pool the number of the session is not the server's.
        silence.cut(session.fileno)

    def is_at_work(self, session: Any) -> bool:
        # Behind a pooler the number is that of no session, or of another one, which mostly has another name.
        return self._finds_elsewhere(
            "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND application_name IN (%s, %s, %s) AND state = 'active'"
            " AND (wait_event_type IS NULL OR wait_event_type NOT IN ('Client', 'IPC', 'Lock'))",
            session.info.backend_pid,
            APPLICATION_NAME,
            EXECUTING,
            EXECUTING_LIMITED,
        )

    def descriptor_of(self, driver: Any) -> silence.Descriptor:
        return silence.Descriptor.of(driver.fileno())

    def listen(self, wake: Callable[[DueFunction | None], None], stopping: Event) -> None:
        if self._cannot_listen:
            return
        connection = self.new_connection()
        try:
            with listening.setting_up(connection), connection.cursor() as cursor:
                if listening.shares_sessions(self.using, connection):
                    self._poll_instead()
                    wake(None)  # workers that sleep now would sleep for too long
                    return
                self._set(connection, {**SETTINGS, "application_name": f"{APPLICATION_NAME} listener"})
                cursor.execute(f"LISTEN {CHANNEL}")
            wake(None)  # for what was committed before
            listening.wake_until(stopping, connection, wake)
        finally:
            connection.close()

    def _poll_instead(self) -> None:
        self._cannot_listen = True
        self.poll_interval = POLL_INTERVAL_WITHOUT_WAKEUPS
        warn(
            "The database %r is behind a connection pooler that gives no client a session of its own (PgBouncer in"
            " transaction mode), so wake-ups of other processes do not arrive. The executor looks every %g seconds"
            " instead. To be prompt, connect it to the server itself, or to a pool in session mode.",
            self.using,
            self.poll_interval,
        )

    def check_constraints_early(self) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")

    def special_relations(self) -> frozenset[str]:
        # A group asks once, so that a trigger is known as soon as it is there. All the rest takes milliseconds.
        known, connection = self._catalog, self.connection
        with django_internals.leaving_nothing(connection), connection.cursor() as cursor:
            if time.monotonic() < known.read_again_at:
                cursor.execute(f"SELECT {TRIGGERS}")
                if cursor.fetchone()[0] == known.triggers:
                    return known.special_relations
            cursor.execute(SPECIAL_RELATIONS)
            triggers, names = cursor.fetchone()
        self._catalog = known = Catalog(frozenset(names), time.monotonic() + CATALOG_SECONDS, triggers)
        return known.special_relations

    def sees_what_is_committed(self) -> bool:
        connection: Any = self.connection
        return bool(connection.isolation_level.name == "READ_COMMITTED")  # the two versions of psycopg number them

    def is_transaction_open(self) -> bool:
        return self._transaction_status() in (IN_TRANSACTION, IN_BROKEN_TRANSACTION)

    def is_transaction_intact(self) -> bool:
        return self._transaction_status() == IN_TRANSACTION and not django_internals.is_marked_for_rollback(
            self.connection
        )

    def _transaction_status(self) -> int | None:
        driver = self._driver
        if driver is None:
            return None
        # Asked several times around every statement of a body: of psycopg 3's own object it takes a sixth of the time.
        status: int = (driver.pgconn if hasattr(driver, "pgconn") else driver.info).transaction_status
        return status

    @property
    def _driver(self) -> Any:
        return django_internals.driver_of(self.connection)

    # Errors

    def is_conflict(self, error: BaseException) -> bool:
        return sqlstate(error) in ("40001", "40P01")  # serialization failure, deadlock

    def is_transient(self, error: BaseException) -> bool:
        return sqlstate(error) not in LIMITS_OF_THE_SITE and super().is_transient(error)

    def names_what_is_not_there(self, error: DatabaseError) -> bool:
        return sqlstate(error) in ("42P01", "42703")

    def is_lost(self, error: BaseException) -> bool:
        state = sqlstate(error)
        if state is None:
            # The driver's own: the server closed the connection, or it had been closed before.
            return isinstance(error, OperationalError | InterfaceError)
        # Connection exceptions, a server that shuts down or starts, idle for too long.
        return state.startswith(("08", "57P")) or state in ("25P03", "25P04")

    def recurs(self, error: BaseException, statement_bytes: int) -> bool:
        # The driver's own, such as that of a closed cursor, or of too many parameters.
        return sqlstate(error) is None and self._driver is not None and not self._driver.closed

    def ends_transaction(self, error: BaseException) -> bool:
        return self.is_lost(error) and not self.recurs(error, 0)

    def is_interruption(self, error: BaseException) -> bool:
        return sqlstate(error) == INTERRUPTED

    def _is_passing(self, error: BaseException) -> bool:
        state = sqlstate(error) or ""
        return state == LOCK_NOT_AVAILABLE or state.startswith("53")  # lack of resources
