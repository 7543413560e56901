"""Database sessions beside the test's own: opened in a thread of this process, or of other processes and ended."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler

from tests.support.waiting import wait_until

#: Nothing that a session is asked to do takes longer, in seconds.
LONGEST_WAIT = 30.0

#: Whether the session of that number waits for a lock.
WAITS_FOR_A_LOCK = {
    "postgresql": "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'",
    "mysql": (
        "SELECT 1 FROM information_schema.processlist"
        " WHERE id = %s AND state IN ('Update', 'Updating', 'Statistics', 'Sending data', 'Executing')"
    ),
}


class Session:
    """Is a thread with a database connection, in which a test does things one by one."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._atomic: Any = None
        #: What the session has begun to execute.
        self.statements: list[str] = []
        self._ended = 0
        self.do(self._watch_statements)
        self._number = self.do(session_number)

    def begin(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> "Future[Any]":
        """Have something done, and do not wait for it."""
        return self._thread.submit(function, *args, **kwargs)

    def do(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Have something done."""
        return self.begin(function, *args, **kwargs).result(LONGEST_WAIT)

    def execute(self, sql: str, *params: Any) -> list[Any]:
        """Have a statement executed, and return its rows."""

        def execute() -> list[Any]:
            with connections["default"].cursor() as cursor:
                cursor.execute(sql, params)
                return list(cursor.fetchall()) if cursor.description else []

        return list(self.do(execute))

    def open_transaction(self) -> None:
        self._atomic = transaction.atomic()
        self.do(self._atomic.__enter__)

    def commit(self) -> None:
        atomic, self._atomic = self._atomic, None
        self.do(atomic.__exit__, None, None, None)

    def roll_back(self) -> None:
        self.do(transaction.set_rollback, True)
        self.commit()

    def close(self) -> None:
        if self._atomic is not None:
            self.roll_back()
        self.do(connections.close_all)
        self._thread.shutdown()

    def wait_until_it_waits(self) -> None:
        """Wait until what it has begun waits for somebody else's lock."""
        wait_until(lambda: self.waits, "the session waited for a lock")

    def wait_until_it_has_looked_for_somebody_to_interrupt(self) -> None:
        """Wait until a cancel that it has begun would have interrupted whom it ever interrupts, and still waits.

        PostgreSQL: it cancels a statement first, and ends a session when it looks again.
        """
        if connection.vendor == "postgresql":
            looks = "it looked twice for somebody to interrupt"
            wait_until(lambda: sum("pg_terminate_backend" in sql for sql in self.statements) >= 2, looks)
        self.wait_until_it_waits()

    @property
    def waits(self) -> bool:
        """Return whether it waits for a lock. (On SQLite, which tells nobody: to begin a transaction.)"""
        if connection.vendor == "sqlite":
            return len(self.statements) > self._ended and self.statements[-1].startswith("BEGIN")
        with connection.cursor() as cursor:
            cursor.execute(WAITS_FOR_A_LOCK[connection.vendor], [self._number])
            return cursor.fetchone() is not None

    def _watch_statements(self) -> None:
        connection.execute_wrappers.append(self._note)

    def _note(self, execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        self.statements.append(sql)
        try:
            return execute(sql, *arguments)
        finally:
            self._ended += 1


def session_number() -> int:
    """Return the number by which the server knows this thread's session."""
    if connection.vendor == "sqlite":
        return 0
    with connection.cursor() as cursor:
        cursor.execute({"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}[connection.vendor])
        return int(cursor.fetchone()[0])


def lose_this_session() -> None:
    """Have the server end this thread's session, which raises the database's error. (Not with SQLite.)"""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        else:
            cursor.execute("KILL CONNECTION_ID()")


def end_sessions(application_name: str | None = None) -> int:
    """End the sessions of others in the test database, or on PostgreSQL those of a name; return how many."""
    with connection.cursor() as cursor:
        return _end_sessions(cursor, connection.settings_dict["NAME"], application_name)


def _end_sessions(cursor, database, application_name=None) -> int:
    if connection.vendor == "postgresql":
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
            " AND application_name = COALESCE(%s, application_name)",
            [database, application_name],
        )
        return len(cursor.fetchall())
    cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s AND id <> CONNECTION_ID()", [database])
    ids = [row[0] for row in cursor.fetchall()]
    ended = 0
    for session in ids:
        try:
            cursor.execute("KILL %s", [session])
            ended += 1
        except DatabaseError:  # it has just ended by itself
            continue
    return ended


@contextmanager
def database_gone() -> Iterator[None]:
    """Let nobody connect to the test database, nor be connected, also not this process. (PostgreSQL)"""
    name = connection.settings_dict["NAME"]
    quoted = connection.ops.quote_name(name)
    connection.close()
    maintenance = _maintenance_connection()
    try:
        with maintenance.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {quoted} ALLOW_CONNECTIONS false")
            try:
                _end_sessions(cursor, name)
                yield
            finally:
                cursor.execute(f"ALTER DATABASE {quoted} ALLOW_CONNECTIONS true")
    finally:
        maintenance.close()


def _maintenance_connection() -> BaseDatabaseWrapper:
    return ConnectionHandler({"default": {**connection.settings_dict, "NAME": "postgres"}})["default"]
