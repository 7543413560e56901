"""MySQL and MariaDB skip locked rows; they have neither partial indexes nor wake-ups."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import DatabaseError, InterfaceError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet

from django_scheduler.databases import django_internals
from django_scheduler.databases.claiming import is_paused
from django_scheduler.databases.queries import Database, M
from django_scheduler.databases.rows import KEYS, SLOTS, TABLE, FoundSlot, NewRows, TakenSlot, WantedSlots
from django_scheduler.databases.silence import Descriptor, answering_within, keep_alive
from django_scheduler.databases.sql import Sql, placeholders
from django_scheduler.databases.statements import is_known_function
from django_scheduler.models import ScheduledFunctionId

#: Record changed since it was read, deadlock.
CONFLICTS = {1020, 1213}

#: Server shutting down, connection refused, gone away, lost, killed, disconnected while idle.
LOST = {1053, 1927, 2002, 2003, 2006, 2013, 2055, 3169, 4031}

#: What the loss of a connection looks like by which the server answers a statement that is too large.
LOST_IN_A_STATEMENT = {2006, 2013, 2055}

#: Disk full, too many connections, table full (which is what a full disk looks like), lock wait timeout, query killed,
#: lock not available.
PASSING = {1021, 1040, 1114, 1205, 1317, 3572}

PACKET_TOO_LARGE = 1153

#: Where many of the rows of a small table are chosen by their primary keys, the planner would rather read, and so lock,
#: all of it: also rows that others have locked, or that they look for. (DELETE takes no hint.)
BY_PRIMARY_KEY = "FORCE INDEX (PRIMARY)"

#: The index of what is pending.
PENDING = "django_scheduler_pending"

#: The least that a server takes in one statement by default (MySQL 5.7: 4 MiB; since then 16 and more), in bytes.
ALWAYS_TAKEN = 1024 * 1024

#: max_statement_time of MariaDB, max_execution_time of MySQL.
TIME_IS_UP = {1969, 3024}

#: A savepoint that lasts exactly as long as the transaction. (A deadlock or CREATE TABLE ends the transaction, and
#: nothing else shows it.)
MARK = "django_scheduler_mark"
NO_SUCH_SAVEPOINT = 1305

NO_SUCH_THREAD = 1094

#: How long the server may take to end a session, in seconds. It is only told to.
KILL_TIMEOUT = 5.0


class Session(NamedTuple):
    """Is a session as others see it: the driver, and the server's number of it."""

    driver: Any
    number: int


class MySQL(Database):
    poll_interval = 0.5
    clock = "UTC_TIMESTAMP(6)"
    skip_locked = "FOR UPDATE SKIP LOCKED"
    on_key_that_is_there = "ON DUPLICATE KEY UPDATE"
    given = "VALUES({})"
    hint_of_ids = f" {BY_PRIMARY_KEY}"
    insert_missing = ("INSERT IGNORE", "")
    join_slots = "STRAIGHT_JOIN"  # in this order, so that no slot is locked that is not free
    lock_slot = skip_locked
    finds_next_values = False
    # With the column alone, MariaDB takes an index that begins with the state for several rows, and locks more of it.
    state_of_chosen = "CONCAT({}, '')"
    special_relations_sql = (
        "SELECT LOWER(event_object_table) FROM information_schema.triggers WHERE event_object_schema = DATABASE()"
        " UNION SELECT LOWER(table_name) FROM information_schema.tables WHERE table_schema = DATABASE()"
        " AND (table_type <> 'BASE TABLE' OR engine NOT IN"
        " (SELECT engine FROM information_schema.engines WHERE transactions = 'YES'))"
        " UNION SELECT LOWER(routine_name) FROM information_schema.routines WHERE routine_schema = DATABASE()"
        f" AND routine_type = 'FUNCTION' AND {is_known_function('LOWER(routine_name)', 'mysql')}"
    )

    def _now(self) -> Sql:
        now = super()._now()
        # Python's clock comes as text, and would be read as such.
        return Sql(f"CAST({now.text} AS DATETIME(6))", *now.params) if now.params else now

    def _scheduled_and_due(self, time: timedelta | datetime) -> tuple[Sql, Sql]:
        now = self._now()
        if isinstance(time, timedelta):
            after = Sql(f"{now.text} + INTERVAL %s MICROSECOND", *now.params, time // timedelta(microseconds=1))
            return after, after
        asked = self.adapted(time)
        due = f"GREATEST(CAST(%s AS DATETIME(6)), CAST({now.text} AS DATETIME(6)))"
        return Sql("%s", asked), Sql(due, asked, *now.params)

    def seconds_until(self, column: str) -> Sql:
        now = self._now()
        return Sql(f"TIMESTAMPDIFF(MICROSECOND, {now.text}, {column}) / 1000000", *now.params)

    def _insert(self, rows: NewRows, args: Sequence[str]) -> list[ScheduledFunctionId]:
        if len(args) == 1 or self._returns_ids:
            return super()._insert(rows, args)
        # MySQL tells the id of the first row only. Which the others have depends on settings that others may change.
        with transaction.atomic(using=self.using):
            return [function_id for text in args for function_id in super(MySQL, self)._insert(rows, [text])]

    def _written(self, statement: str, params: list[Any]) -> list[ScheduledFunctionId]:
        if self._returns_ids:
            return super()._written(statement, params)
        with self.connection.cursor() as cursor:
            cursor.execute(statement, params)
            return [ScheduledFunctionId(cursor.lastrowid)]

    def lock_keys(self, names: Sequence[str]) -> dict[str, ScheduledFunctionId | None]:
        # Not INSERT IGNORE: of a row that is there it takes a shared lock, so two that then want the row wait for each
        # other. And not a locking read first: under REPEATABLE READ it locks the gap where the row will be.
        values = ", ".join(["(%s)"] * len(names))
        self._execute(f"INSERT INTO {KEYS} (name) VALUES {values} {self.on_key_that_is_there} name = name", names)
        with self.connection.cursor() as cursor:
            chosen = placeholders(names)
            cursor.execute(
                f"SELECT name, function_id FROM {KEYS} {BY_PRIMARY_KEY} WHERE name IN ({chosen}) FOR UPDATE", names
            )
            return dict(cursor.fetchall())

    def by_primary_key(self, rows: QuerySet[M]) -> QuerySet[M]:
        return django_internals.with_hint(rows, BY_PRIMARY_KEY)

    def take_slot(self, wanted: WantedSlots, function_id: int, attempt: int, executor: str) -> list[FoundSlot]:
        found = self.lock_slots([wanted], [function_id])  # UPDATE can neither pass over what is locked nor return it
        if found:
            self.take_slots({found[0].id: (function_id, attempt)}, executor)
        return found

    def take_rate_slots(self, wanted: Sequence[WantedSlots]) -> list[TakenSlot]:
        free, now = self._free_rate_slots(wanted), self._now()
        with transaction.atomic(using=self.using, savepoint=False), self.connection.cursor() as cursor:
            cursor.execute(free.text, free.params)
            slots = [TakenSlot(slot_id, limit, taken + 1) for slot_id, limit, taken in cursor.fetchall()]
            if slots:
                cursor.execute(
                    f"UPDATE {SLOTS} {BY_PRIMARY_KEY} SET taken = taken + 1, taken_time = {now.text}"
                    f" WHERE id IN ({placeholders(slots)})",
                    [*now.params, *(each.id for each in slots)],
                )
        return slots

    def _lock_waiting(self, rows: Sql) -> list[ScheduledFunctionId]:
        locked = super()._lock_waiting(rows)
        if not locked:
            return []
        # A claim also locks the first entry of the index that comes after what is due, until its mutation has ended. To
        # change that entry would wait for it.
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT entry.id FROM {TABLE} waiting {BY_PRIMARY_KEY} STRAIGHT_JOIN {TABLE} entry"
                f" FORCE INDEX ({PENDING}) ON entry.queue = waiting.queue AND entry.priority = waiting.priority"
                " AND entry.tenant = waiting.tenant AND entry.state = 'pending'"
                f" AND entry.due_time = {self.far} AND entry.id = waiting.id"
                f" WHERE waiting.id IN ({placeholders(locked)}) {self.skip_locked}",
                locked,
            )
            free = {row[0] for row in cursor.fetchall()}
        return [function_id for function_id in locked if function_id in free]

    @property
    def _returns_ids(self) -> bool:
        """Return whether it returns what it inserts, as MariaDB does."""
        return self.connection.features.can_return_rows_from_bulk_insert

    def _lanes(self, besides: Sql) -> Sql:
        # Rows of values are not looked up in an index here, but a GROUP BY jumps from group to group, as long as
        # there is no other condition; the first function of a group is then found through the index.
        due_in = self.seconds_until("due_time")
        return Sql(
            f"SELECT head.queue, head.priority, head.tenant, {due_in.text}, due_time, id, {is_paused('head.queue')}"
            f" FROM (SELECT queue, priority, tenant, (SELECT id FROM {TABLE} WHERE state = 'pending'"
            f" AND queue = lane.queue AND priority = lane.priority AND tenant = lane.tenant{besides.text}"
            f" ORDER BY due_time, id LIMIT 1) AS first_id FROM (SELECT queue, priority, tenant FROM {TABLE}"
            f" WHERE state = 'pending' GROUP BY queue, priority, tenant) AS lane) AS head"
            f" JOIN {TABLE} ON head.first_id = {TABLE}.id",
            *due_in.params,
            *besides.params,
        )

    @contextmanager
    def time_limit(self, seconds: float) -> Iterator[None]:
        connection: Any = self.connection
        if connection.mysql_is_mariadb:
            setting, limit = "max_statement_time", f"{seconds:f}"
        else:
            setting, limit = "max_execution_time", f"{max(1, round(seconds * 1000)):d}"
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION {setting} = {limit}")
            try:
                yield
            finally:
                cursor.execute(f"SET SESSION {setting} = DEFAULT")

    def is_time_up(self, error: BaseException) -> bool:
        return _code(error) in TIME_IS_UP

    def prepare_session(self) -> None:
        # Under REPEATABLE READ a locking read also locks the gaps that it passes, and inserts wait for those.
        with self.connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        driver: Any = django_internals.driver_of(self.connection)
        if hasattr(driver, "fileno"):
            keep_alive(driver.fileno())

    def session(self) -> Session:
        # The driver lets no other thread ask, as long as this one executes a statement.
        driver = super().session()
        return Session(driver, driver.thread_id())

    def interrupt_statement(self, session: Session) -> None:
        self._kill("QUERY", session)

    def end_session(self, session: Session) -> None:
        self._kill("CONNECTION", session)

    def is_at_work(self, session: Session) -> bool:
        return self._finds_elsewhere(
            "SELECT 1 FROM information_schema.processlist WHERE id = %s AND command IN ('Query', 'Execute')"
            " AND COALESCE(state, '') NOT LIKE 'Waiting%%'",
            session.number,
        )

    def descriptor_of(self, driver: Any) -> Descriptor:
        return Descriptor.of((driver if hasattr(driver, "fileno") else driver._sock).fileno())  # mysqlclient or PyMySQL

    def _kill(self, what: str, session: Session) -> None:
        own_connection = self.new_connection()
        try:
            own_connection.ensure_connection()
            number = self.descriptor_of(django_internals.driver_of(own_connection)).number
            with answering_within(KILL_TIMEOUT, lambda: number), own_connection.cursor() as cursor:
                cursor.execute(f"KILL {what} {session.number:d}")
        except DatabaseError as error:
            if _code(error) != NO_SUCH_THREAD:
                raise
        finally:
            own_connection.close()

    def is_transaction_open(self) -> bool:
        driver: Any = django_internals.driver_of(self.connection)
        return super().is_transaction_open() and driver is not None and bool(driver.open)

    def finds_transaction_open(self) -> bool:
        connection: Any = self.connection
        if not connection.mysql_is_mariadb or django_internals.driver_of(connection) is None:
            return False
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT @@in_transaction")
                return bool(cursor.fetchone()[0])
        except (DatabaseError, InterfaceError):  # the session is broken
            return False

    def mark_transaction(self) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(f"SAVEPOINT {MARK}")

    def is_transaction_marked(self) -> bool:
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(f"RELEASE SAVEPOINT {MARK}")
        except DatabaseError as error:
            if _code(error) != NO_SUCH_SAVEPOINT:
                raise
            return False
        return True

    def ends_transaction(self, error: BaseException) -> bool:
        # After a deadlock the transaction is gone without a sign, and the next statement begins another one. After a
        # packet that is too large the server closes the connection.
        return self.is_conflict(error) or self.is_lost(error) or _code(error) == PACKET_TOO_LARGE

    def is_conflict(self, error: BaseException) -> bool:
        return _code(error) in CONFLICTS

    def names_what_is_not_there(self, error: DatabaseError) -> bool:
        return _code(error) in (1146, 1054)  # no such table, unknown column

    def is_lost(self, error: BaseException) -> bool:
        return isinstance(error, InterfaceError) or _code(error) in LOST

    def recurs(self, error: BaseException, statement_bytes: int) -> bool:
        if isinstance(error, InterfaceError):
            driver: Any = django_internals.driver_of(self.connection)
            return driver is not None and bool(driver.open)
        if _code(error) not in LOST_IN_A_STATEMENT or statement_bytes <= ALWAYS_TAKEN:
            return False
        own_connection = self.new_connection()
        try:
            return statement_bytes > self.largest_statement(own_connection)
        except (DatabaseError, InterfaceError):
            return False  # it is gone indeed
        finally:
            own_connection.close()

    def largest_statement(self, connection: BaseDatabaseWrapper) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@max_allowed_packet")
            return int(cursor.fetchone()[0])

    def _is_passing(self, error: BaseException) -> bool:
        return _code(error) in PASSING


def _code(error: BaseException) -> object:
    return error.args[0] if isinstance(error, DatabaseError) and error.args else None
