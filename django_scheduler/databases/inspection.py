"""Inspection finds out about a server and the way to it, for the system checks, which alone need that."""

from datetime import UTC, datetime
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone


class Inspection:
    """Asks one database about itself.

    An answer that is ``None``, empty or ``False`` means that all is well; ``clock`` is the exception.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection: Any = connection

    def missing_feature(self) -> str | None:
        """Return what this version cannot do, although it must."""
        return None

    def tables_without_transactions(self, tables: list[str]) -> list[str]:
        """Return those of the tables whose changes cannot be rolled back."""
        return []

    def is_read_only(self) -> bool:
        """Return whether it refuses to be written to, as a standby does."""
        return False

    def loses_commits(self) -> str | None:
        """Return the setting by which a crash of the server loses what it has committed."""
        return None

    def is_pooled_by_transaction(self) -> bool:
        """Return whether a pooler gives the session to somebody else after each transaction."""
        return False

    def is_locked_by_readers(self) -> bool:
        """Return whether readers and the writer wait for each other."""
        return False

    def clock(self) -> datetime | None:
        """Return the time of its clock, or ``None`` where there is no other than this host's."""
        return None

    def _ask(self, question: str, *params: object) -> Any:
        with self.connection.cursor() as cursor:
            cursor.execute(question, params)
            row = cursor.fetchone()
        return None if row is None else row[0]


class PostgreSQLInspection(Inspection):
    def is_read_only(self) -> bool:
        return bool(self._ask("SHOW transaction_read_only") == "on")

    def loses_commits(self) -> str | None:
        for setting in ("fsync", "synchronous_commit"):
            if self._ask(f"SHOW {setting}") == "off":
                return f"{setting} = off"
        return None

    def is_pooled_by_transaction(self) -> bool:
        # Two connections that are both open have the same session of the server: a pooler in transaction mode gives no
        # client a session of its own, and hands out the one that was used last.
        one, other = (connections.create_connection(self.connection.alias) for _ in range(2))
        try:
            return PostgreSQLInspection(one)._session() == PostgreSQLInspection(other)._session()
        finally:
            one.close()
            other.close()

    def clock(self) -> datetime | None:
        now: datetime = self._ask("SELECT clock_timestamp()")
        return now

    def _session(self) -> int:
        process_id: int = self._ask("SELECT pg_backend_pid()")
        return process_id


class MySQLInspection(Inspection):
    def missing_feature(self) -> str | None:
        return (
            None if self.connection.features.has_select_for_update_skip_locked else "SELECT ... FOR UPDATE SKIP LOCKED"
        )

    def tables_without_transactions(self, tables: list[str]) -> list[str]:
        marks = ", ".join(["%s"] * len(tables))
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT table_name, engine FROM information_schema.tables WHERE table_schema = DATABASE()"
                f" AND engine <> 'InnoDB' AND table_name IN ({marks}) ORDER BY table_name",
                tables,
            )
            return [f"{table} ({engine})" for table, engine in cursor.fetchall()]

    def loses_commits(self) -> str | None:
        value = self._ask("SELECT @@innodb_flush_log_at_trx_commit")
        return None if value == 1 else f"innodb_flush_log_at_trx_commit = {value}"

    def clock(self) -> datetime | None:
        now: datetime = self._ask("SELECT UTC_TIMESTAMP(6)")
        return now.replace(tzinfo=UTC)


class SQLiteInspection(Inspection):
    def missing_feature(self) -> str | None:
        return None if self.connection.features.can_return_columns_from_insert else "INSERT ... RETURNING"

    def is_locked_by_readers(self) -> bool:
        # A database in memory has no journal to choose.
        return self._ask("PRAGMA journal_mode") not in ("wal", "memory")


_BY_VENDOR: dict[str, type[Inspection]] = {
    "postgresql": PostgreSQLInspection,
    "mysql": MySQLInspection,
    "sqlite": SQLiteInspection,
}


def inspection_of(using: str) -> Inspection:
    """Return what asks the database of that alias."""
    connection = connections[using]
    return _BY_VENDOR[connection.vendor](connection)


def clock_difference(inspection: Inspection) -> float:
    """Return how far the database's clock is ahead of this host's, in seconds, without the time of the way there."""
    before = timezone.now()
    theirs = inspection.clock()
    after = timezone.now()
    if theirs is None or before <= theirs <= after:
        return 0.0
    return (theirs - (after if theirs > after else before)).total_seconds()
