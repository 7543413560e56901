"""SQLite is one file on one host, with one writer at a time."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from math import inf
from threading import Event
from time import monotonic, monotonic_ns, time_ns
from typing import Any, ClassVar

from django.db import DatabaseError, connections
from django.utils import timezone

from django_scheduler.databases import django_internals
from django_scheduler.databases.queries import Database
from django_scheduler.databases.rows import TABLE, DriverTime, DueFunction
from django_scheduler.databases.sql import Sql
from django_scheduler.models import ScheduledFunctionId

#: How often a change by another process is looked for, in seconds. It takes 3 microseconds, and no statement that reads
#: a table: 0.6 % of a processor. (0.4 % with 20 ms, and 1.1 % with 2.)
WATCH_INTERVAL = 0.005

#: After how many of its instructions SQLite looks at the clock: some tenths of a millisecond.
INSTRUCTIONS_PER_LOOK = 10_000


#: The SQL function by which ids are made: see ``_next_id``.
NEXT_ID = "django_scheduler_next_id"

#: How many ids are left out at most when the clock was set back: those of a second. JSON keeps 7e15 more than now.
LARGEST_GAP = 2**20

#: The last id that was given out in a transaction that has committed, or in this one.
LAST_ID = f"COALESCE((SELECT seq FROM sqlite_sequence WHERE name = '{TABLE}'), 0)"


class SQLite(Database):
    has_one_writer = True
    has_server = False
    options: ClassVar[dict[str, Any]] = {}
    skip_locked = ""
    special_relations_sql = "SELECT LOWER(tbl_name) FROM sqlite_master WHERE type IN ('trigger', 'view')"

    def __init__(self, using: str) -> None:
        super().__init__(using)
        self._last_id = 0

    def _next_id(self, last_id: int, number: int) -> int:
        """Return the first of so many ids that follow each other, and that nobody has ever been given.

        AUTOINCREMENT is not enough: its counter is rolled back with the transaction, so a rolled-back id would become
        that of another function, which whoever has kept it could cancel. An id is the time instead, in microseconds:
        SQLite calls this when it has the write lock, so the time is a later one for each transaction.

        A clock that was set back repeats itself. Until it has caught up, ids go on from the last one that was committed
        or is of this process. What another process has rolled back is not known here, so they leave gaps, of the size
        at which their last digits are those of a clock that nobody can set.
        """
        first, known = time_ns() // 1000, max(last_id, self._last_id)
        if first <= known:
            first = known + 1 + (monotonic_ns() // 1000 - known - 1) % LARGEST_GAP
        self._last_id = first + number - 1
        return first

    def _new_ids(self, number: int) -> list[str]:
        # SQLite counts on from the first one.
        return [f"{NEXT_ID}({LAST_ID}, {number:d}), ", *["NULL, "] * (number - 1)]

    def _written(self, statement: str, params: list[Any]) -> list[ScheduledFunctionId]:
        connection: Any = self.connection
        connection.ensure_connection()
        driver: Any = django_internals.driver_of(connection)
        if getattr(connection, NEXT_ID, None) is not driver:  # it is new
            driver.create_function(NEXT_ID, 2, self._next_id)
            setattr(connection, NEXT_ID, driver)
        return super()._written(statement, params)

    def _now(self) -> Sql:
        # All users of the file share one host, so its clock is the database's.
        return Sql("%s", self.adapted(timezone.now()))

    def _current_time(self) -> datetime:
        return timezone.now()

    def _scheduled_and_due(self, time: timedelta | datetime) -> tuple[Sql, Sql]:
        now = timezone.now()
        scheduled = now + time if isinstance(time, timedelta) else time
        return Sql("%s", self.adapted(scheduled)), Sql("%s", self.adapted(max(scheduled, now)))

    def seconds_until(self, column: str) -> Sql:
        now = self._now()
        return Sql(f"(julianday({column}) - julianday({now.text})) * 86400.0", *now.params)

    def each_later(self, time: DriverTime, seconds: Iterable[float]) -> list[DriverTime]:
        return list(map(str, super().each_later(time, seconds)))

    def change_each(
        self, rows: Sequence[Mapping[str, Any]], changes: Mapping[str, Any], *, only_if: Mapping[str, Any]
    ) -> int:
        # There are no round trips to be saved, and one short statement that is prepared once is cheaper than one with
        # all values of a hundred rows in it, which Django and the guard of the session read first.
        columns = [column for column in rows[0] if column != "id"]
        assignments = ", ".join(f"{column} = %s" for column in (*changes, *columns))
        conditions = "".join(f" AND {column} = %s" for column in only_if)
        now = self._now()
        with self.connection.cursor() as cursor:
            cursor.executemany(
                f"UPDATE {TABLE} SET {assignments} WHERE id = %s{conditions} AND due_time <= {now.text}",
                [
                    [*changes.values(), *(row[column] for column in columns), row["id"], *only_if.values(), *now.params]
                    for row in rows
                ],
            )
            return int(cursor.rowcount)

    @contextmanager
    def time_limit(self, seconds: float) -> Iterator[None]:
        deadline = inf

        def begin(execute: Callable[..., Any], *statement: Any) -> Any:
            nonlocal deadline
            deadline = monotonic() + seconds
            return execute(*statement)

        self.connection.ensure_connection()
        driver: Any = django_internals.driver_of(self.connection)
        driver.set_progress_handler(lambda: monotonic() > deadline, INSTRUCTIONS_PER_LOOK)
        try:
            with self.connection.execute_wrapper(begin):
                yield
        finally:
            driver.set_progress_handler(None, 0)

    def is_time_up(self, error: BaseException) -> bool:
        return getattr(error.__cause__, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT

    def prepare_session(self) -> None:
        connection: Any = self.connection
        # A transaction that reads first and writes later fails at once when somebody has written in between.
        connection.transaction_mode = "IMMEDIATE"
        with connection.cursor() as cursor:
            # Readers and the writer do not wait for each other. The file remembers it.
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA busy_timeout = 30000")

    def interrupt_statement(self, session: Any) -> None:
        with suppress(sqlite3.ProgrammingError):  # it has been closed, so nothing is executing
            session.interrupt()

    def end_session(self, session: Any) -> None:
        if sqlite3.threadsafety == 3:  # any thread may use any connection
            session.interrupt()
            session.rollback()  # closing alone would wait for statements that have not been read to their end
            session.close()

    def listen(self, wake: Callable[[DueFunction | None], None], stopping: Event) -> None:
        # The number changes whenever another connection has written to the file.
        connection = connections.create_connection(self.using)
        try:
            connection.ensure_connection()
            driver: Any = django_internals.driver_of(connection)  # Django's cursor takes five times as long
            version = None
            while not stopping.wait(WATCH_INTERVAL):
                before, version = version, driver.execute("PRAGMA data_version").fetchone()
                if version != before:
                    wake(None)
        finally:
            connection.close()

    def is_transaction_open(self) -> bool:
        # Some errors (a full disk, a failed write) end it, and every later statement would commit by itself.
        driver: Any = django_internals.driver_of(self.connection)
        try:
            return driver is not None and bool(driver.in_transaction)
        except sqlite3.ProgrammingError:  # it has been closed
            return False

    def ends_transaction(self, error: BaseException) -> bool:
        return not self.is_transaction_open()

    def is_conflict(self, error: BaseException) -> bool:
        return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

    def waits_for_this_transaction(self, error: BaseException) -> bool:
        # While this thread has the only write lock of the file. Another file would be another database of the project.
        files = [alias for alias in connections if connections[alias].vendor == "sqlite"]
        return self.is_conflict(error) and len(files) == 1

    def names_what_is_not_there(self, error: DatabaseError) -> bool:
        return any(words in str(error) for words in ("no such table", "no such column", "has no column named"))

    def is_lost(self, error: BaseException) -> bool:
        return False

    def _is_passing(self, error: BaseException) -> bool:
        return _code(error) == sqlite3.SQLITE_FULL


def _code(error: BaseException) -> int | None:
    """Return the primary code of SQLite's own error, or ``None`` for those of the driver."""
    cause = error.__cause__
    code = getattr(cause, "sqlite_errorcode", None) if isinstance(cause, sqlite3.Error) else None
    return None if code is None else code & 0xFF
