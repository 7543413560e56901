"""PostgreSQL: row locks that are skipped, NOTIFY, and executing mutations that can be interrupted."""

import selectors
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Event
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError, connections, transaction

from django_scheduler.databases.base import TABLE, Database, Sql

CHANNEL = "django_scheduler"

#: How executors' sessions call themselves: only those are ever interrupted.
APPLICATION_NAME = "django_scheduler"

#: How long a cancel waits for a lock before it interrupts the executor that holds it (again), in milliseconds.
PATIENCE = 200


class PostgreSQL(Database):
    poll_interval = 5.0
    clock = "STATEMENT_TIMESTAMP()"
    # NO KEY: a row of the user's that refers to this one by a foreign key can be inserted meanwhile.
    skip_locked = "FOR NO KEY UPDATE SKIP LOCKED"

    def _scheduled_and_due(self, time: timedelta | datetime) -> tuple[Sql, Sql]:
        now = self._now()
        if isinstance(time, timedelta):
            after = Sql(f"{now.text}::timestamptz + %s::interval", *now.params, time)
            return after, after
        return Sql("%s", time), Sql(f"GREATEST(%s::timestamptz, {now.text}::timestamptz)", time, *now.params)

    def _seconds_until(self, column: str) -> Sql:
        now = self._now()
        return Sql(f"EXTRACT(EPOCH FROM {column} - {now.text}::timestamptz)", *now.params)

    def _json(self, text: str) -> str:
        return f"{text}::jsonb"

    def _text(self, column: str) -> str:
        return f"{column}::text"

    def send_wakeup(self) -> None:
        # A transaction that notifies has a commit record of its own. It need not wait for the disk: a crash
        # that loses it ends every session that listens.
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT set_config('synchronous_commit', 'off', true), pg_notify(%s, '')", [CHANNEL])

    # Interrupting

    def lock_row(self, function_id: int) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {TABLE} WHERE id = %s {self.skip_locked}", [function_id])
            if cursor.fetchone() or not self._exists(cursor, function_id):
                return
        interrupt = "pg_cancel_backend"
        while True:
            self._interrupt_executor(function_id, interrupt)
            if self._lock_row_within_patience(function_id):
                return
            # Canceling a statement does not reach a body that is between two statements.
            interrupt = "pg_terminate_backend"

    def _exists(self, cursor: Any, function_id: int) -> bool:
        cursor.execute(f"SELECT 1 FROM {TABLE} WHERE id = %s", [function_id])
        return cursor.fetchone() is not None

    def _interrupt_executor(self, function_id: int, interrupt: str) -> None:
        # A locked row names the transaction that has locked it in xmax, and that transaction holds the lock on
        # its own id. Were it to end this very moment, the executor's next mutation would be hit and retried.
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {interrupt}(holder.pid) FROM {TABLE} function"
                " JOIN pg_locks holder ON holder.locktype = 'transactionid' AND holder.granted"
                " AND holder.mode = 'ExclusiveLock' AND holder.transactionid = function.xmax"
                " JOIN pg_stat_activity session ON session.pid = holder.pid"
                " WHERE function.id = %s AND session.application_name = %s AND session.pid <> pg_backend_pid()",
                [function_id, APPLICATION_NAME],
            )

    def _lock_row_within_patience(self, function_id: int) -> bool:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('lock_timeout')")
            (before,) = cursor.fetchone()
            try:
                with transaction.atomic(using=self.using):
                    cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{PATIENCE}ms"])
                    cursor.execute(f"SELECT 1 FROM {TABLE} WHERE id = %s FOR NO KEY UPDATE", [function_id])
            except OperationalError as error:
                if _sqlstate(error) != "55P03":
                    raise
                return False
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [before])
        return True

    # Executing

    def prepare_session(self) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT set_config('application_name', %s, false)", [APPLICATION_NAME])
            # Without it the server notices only at the end of a statement that its client has died, and the
            # function that it was executing stays locked until then. (PostgreSQL 14 on Linux and macOS.)
            cursor.execute(
                "SELECT set_config(name, '500', false) FROM pg_settings WHERE name = 'client_connection_check_interval'"
            )

    def listen(self, ring: Callable[[], None], stopping: Event) -> None:
        connection = connections.create_connection(self.using)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('application_name', %s, false)", [f"{APPLICATION_NAME} listener"])
                cursor.execute(f"LISTEN {CHANNEL}")
            ring()  # for what was committed before
            driver: Any = connection.connection
            with selectors.DefaultSelector() as selector:
                selector.register(driver.fileno(), selectors.EVENT_READ)
                while not stopping.is_set():
                    if selector.select(timeout=0.5):
                        _drain_notifications(driver)
                        ring()
        finally:
            connection.close()

    def is_transaction_intact(self) -> bool:
        driver: Any = self.connection.connection
        # 2 is PQTRANS_INTRANS in psycopg 2 and 3: in a transaction that no error has broken.
        status = driver.info.transaction_status if driver is not None else None
        return super().is_transaction_intact() and status == 2

    # Errors

    def is_conflict(self, error: BaseException) -> bool:
        return _sqlstate(error) in ("40001", "40P01")  # serialization failure, deadlock

    def is_lost(self, error: BaseException) -> bool:
        state = _sqlstate(error)
        if state is None:
            # The driver's own: the server closed the connection, or it had been closed before.
            return isinstance(error, OperationalError | InterfaceError)
        # Connection exceptions, a server that shuts down or starts, idle_in_transaction_session_timeout.
        return state.startswith(("08", "57P")) or state == "25P03"

    def _is_passing(self, error: BaseException) -> bool:
        state = _sqlstate(error) or ""
        if state == "57014":
            # A cancel may have meant another function of this session. The site's own statement_timeout has
            # no state of its own, and would be met again.
            return "statement timeout" not in str(error)
        return state == "55P03" or state.startswith("53")  # lock not available, insufficient resources


def _sqlstate(error: BaseException) -> str | None:
    cause = error.__cause__ if isinstance(error, DatabaseError | InterfaceError) else None
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)


def _drain_notifications(driver: Any) -> None:
    if hasattr(driver, "pgconn"):  # psycopg 3
        driver.pgconn.consume_input()
        while driver.pgconn.notifies():
            pass
    else:
        driver.poll()
        driver.notifies.clear()
