"""The connections of an executor's thread: the one to the executor's database is prepared whenever it is made, and
kept open between functions; one function leaves nothing in them to the next.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import connections, reset_queries
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from django_scheduler.databases import Database, django_internals


class _ThisThread(threading.local):
    #: That of the session that the thread is in, if it is in one.
    database: Database | None = None


_this_thread = _ThisThread()


@contextmanager
def executor_session(database: Database) -> Iterator[None]:
    """Make this thread's connection to the database an executor's within the block, and close all at its end.

    One session may lie within another: an action may execute a function by its id, as a fleet does that executes at
    once.
    """
    outer = _this_thread.database
    connection = connections[database.using]
    wrappers = django_internals.statement_wrappers(connection)  # those who have added one will remove it
    connection.close()
    _this_thread.database = database
    django_internals.guard_session(connection)
    try:
        yield
    finally:
        _this_thread.database = outer
        connections.close_all()
        django_internals.set_statement_wrappers(connection, wrappers)
        if outer is None:
            for each in connections.all(initialized_only=True):
                django_internals.end_guard(each)


@receiver(connection_created)
def _prepare(connection: BaseDatabaseWrapper, **kwargs: object) -> None:
    # Also a connection that is made anew within a function, after a body or an error has closed the old one.
    database = _this_thread.database
    if database is None or connection is not connections[connection.alias]:
        return
    if connection.alias == database.using:
        django_internals.keep_open(connection)
        database.prepare_session()
    else:
        django_internals.guard_session(connection)


def tidy_connections(using: str) -> None:
    """Leave nothing of one function to the next one, if this thread is in an executor's session."""
    database = _this_thread.database
    if database is None:
        return  # a test's own, whose transaction would go with them
    reset_queries()
    connection = connections[using]
    _tidy(connection, is_in_transaction=database.is_transaction_open())
    if django_internals.has_seen_errors(connection):
        connection.close_if_unusable_or_obsolete()
    tidy_other_connections(using)


def tidy_other_connections(using: str) -> None:
    """Leave nothing of one function to the next one in the other databases."""
    for connection in connections.all(initialized_only=True):
        if connection.alias != using:
            _tidy(connection)
            connection.close_if_unusable_or_obsolete()


def _tidy(connection: BaseDatabaseWrapper, *, is_in_transaction: bool = False) -> None:
    guard = django_internals.guard_session(connection)
    guard.close_cursors()
    if is_in_transaction or not guard.is_plain or django_internals.is_in_transaction(connection):
        close_connection(connection.alias)
    if guard.wrappers is not None and django_internals.statement_wrappers(connection) != guard.wrappers:
        django_internals.set_statement_wrappers(connection, list(guard.wrappers))


def close_connection(alias: str) -> None:
    """Close a connection for good, also one that a pool would keep; the next use makes a new one."""
    driver = django_internals.driver_of(connections[alias])
    with suppress(Exception):
        driver.rollback()  # SQLite's close keeps the transaction of a statement that was not read to its end
    with suppress(Exception):
        driver.close()
    django_internals.discard(connections[alias])
