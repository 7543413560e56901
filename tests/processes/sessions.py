"""The database sessions of other processes, as a test sees and ends them."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler


def end_sessions(application_name: str | None = None) -> int:
    """End all sessions of others in the test database, or on PostgreSQL those of that name; how many there were."""
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
    """PostgreSQL: nobody can connect to the test database, nor is connected, also not this process."""
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
