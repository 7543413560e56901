"""SQLite is one file on one host, with one writer at a time."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from math import inf
from threading import Event
from time import monotonic
from typing import Any

from django.db import connections
from django.utils import timezone

from django_scheduler.databases import django_internals
from django_scheduler.databases.queries import Database, Sql

#: How often a change by another process is looked for, in seconds. It takes some microseconds, and no statement
#: that reads a table.
WATCH_INTERVAL = 0.02

#: After how many of its instructions SQLite looks at the clock: some tenths of a millisecond.
INSTRUCTIONS_PER_LOOK = 10_000


class SQLite(Database):
    has_one_writer = True
    skip_locked = ""
    special_relations_sql = "SELECT LOWER(tbl_name) FROM sqlite_master WHERE type IN ('trigger', 'view')"

    def _now(self) -> Sql:
        # All users of the file share one host, so its clock is the database's.
        return Sql("%s", self._adapted(timezone.now()))

    def _current_time(self) -> datetime:
        return timezone.now()

    def _scheduled_and_due(self, time: timedelta | datetime) -> tuple[Sql, Sql]:
        now = timezone.now()
        scheduled = now + time if isinstance(time, timedelta) else time
        return Sql("%s", self._adapted(scheduled)), Sql("%s", self._adapted(max(scheduled, now)))

    def seconds_until(self, column: str) -> Sql:
        now = self._now()
        return Sql(f"(julianday({column}) - julianday({now.text})) * 86400.0", *now.params)

    def later(self, time: Any, seconds: float) -> str:
        return str(super().later(time, seconds))

    def _adapted(self, time: datetime) -> str:
        return str(self.connection.ops.adapt_datetimefield_value(time))

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

    def listen(self, wake: Callable[[], None], stopping: Event) -> None:
        # The number changes whenever another connection has written to the file.
        connection = connections.create_connection(self.using)
        try:
            version = None
            with connection.cursor() as cursor:
                while not stopping.wait(WATCH_INTERVAL):
                    before, version = version, cursor.execute("PRAGMA data_version").fetchone()
                    if version != before:
                        wake()
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
        cause = error.__cause__
        # Without a code: errors of the driver itself.
        code = getattr(cause, "sqlite_errorcode", None) if isinstance(cause, sqlite3.Error) else None
        return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

    def is_lost(self, error: BaseException) -> bool:
        return False
