"""The connections of an executor's thread: the one to the executor's database is prepared whenever it is made, and
kept open between functions; one function leaves nothing in them to the next.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import Any

from django.db import connections, reset_queries
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from django_scheduler.databases import Database, django_internals
from django_scheduler.executor.answer_timeout import (
    awaiting_answer,
    awaiting_each_answer,
    has_connected,
    is_connecting,
    with_answer_timeout,
)
from django_scheduler.models import Kind
from django_scheduler.scheduling import running


@dataclass(frozen=True)
class _ExecutorSession:
    database: Database
    #: Those that a body finds, and the next one as well, whatever the first has made of them.
    connection: BaseDatabaseWrapper
    settings: dict[str, Any]


class _ThisThread(threading.local):
    session: _ExecutorSession | None = None


_this_thread = _ThisThread()


@contextmanager
def executor_session(database: Database, *, answer_timeout: float | None = None) -> Iterator[None]:
    """Make this thread's connection to the database an executor's within the block, and close all at its end.

    One session may lie within another: an action may execute a function by its id, as a fleet does that executes at
    once. ``answer_timeout``: how long the database may take to answer, in seconds, instead of ``ANSWER_TIMEOUT``.
    """
    outer = _this_thread.session
    connection = connections[database.using]
    wrappers = django_internals.statement_wrappers(connection)  # those who have added one will remove it
    connection.close()
    django_internals.guard_session(connection, list(wrappers))
    _note_new_connections(connection, database)
    with (
        with_answer_timeout(database, answer_timeout),
        django_internals.made_with(connection, database.options),
        database.asked_on(connection),
    ):
        settings = django_internals.settings_of(connection)
        _this_thread.session = _ExecutorSession(database, connection, settings)
        try:
            yield
        finally:
            _this_thread.session = outer
            with awaiting_answer():
                connections.close_all()
            django_internals.set_statement_wrappers(connection, wrappers)
            if outer is None:
                _end_guards()


def _end_guards() -> None:
    for connection in connections.all(initialized_only=True):
        django_internals.end_guard(connection)


@contextmanager
def session_of_side_task(database: Database, *, answer_timeout: float | None = None) -> Iterator[None]:
    """Make an executor's session, in which each statement has to be answered in time."""
    with executor_session(database, answer_timeout=answer_timeout), awaiting_each_answer(database):
        yield


def in_session(
    database: Database, call: Callable[[], object], *, answer_timeout: float | None = None
) -> Callable[[], None]:
    """Return a call that makes this one in a session of a side task."""

    def run() -> None:
        with session_of_side_task(database, answer_timeout=answer_timeout):
            call()

    return run


@receiver(connection_created)
def _prepare(connection: BaseDatabaseWrapper, **kwargs: object) -> None:
    # Also a connection that is made anew within a function, after a body or an error has closed the old one.
    database = _this_thread.session.database if _this_thread.session else None
    is_in_action = _is_in_action()
    if (database is None and not is_in_action) or not _is_of_this_thread(connection):
        return
    if database is not None and connection.alias == database.using:
        has_connected(database.session())
        django_internals.keep_open(connection)
        database.prepare_session()
        _note_new_connections(connection, database)
    guard = django_internals.guard_session(connection)
    if is_in_action:  # also in a thread of its own
        guard.check_when_idle(used_at=time.monotonic())


def _note_new_connections(connection: BaseDatabaseWrapper, database: Database) -> None:
    guard = django_internals.guard_session(connection)

    def note(driver: Any) -> None:
        if _this_thread.session is not None and _this_thread.session.database is database:  # and not one within it
            is_connecting(database.descriptor_of(driver))

    guard.has_connected = note


def _is_of_this_thread(connection: BaseDatabaseWrapper) -> bool:
    return connection.alias in connections and connection is connections[connection.alias]


def _is_in_action() -> bool:
    current = running.get()
    return current is not None and current.scheduled_kind is Kind.ACTION


@contextmanager
def checking_when_idle(using: str) -> Iterator[None]:
    """Check this thread's connections within the block when they have been idle.

    ``using``: the connection that was in use until now. Nobody knows of the others how long they have been idle.
    """
    if _this_thread.session is None:  # within a test's own transaction, which would go with its connection
        try:
            yield
        finally:
            _end_guards()  # of connections that the body has made
        return
    for connection in connections.all(initialized_only=True):
        used_at = time.monotonic() if connection.alias == using else -inf
        django_internals.guard_session(connection).check_when_idle(used_at=used_at)
    try:
        yield
    finally:
        for connection in connections.all(initialized_only=True):
            django_internals.guard_session(connection).checks_when_idle = False


@awaiting_answer()
def tidy_connections(using: str) -> None:
    """Leave nothing of one function to the next one, if this thread is in an executor's session."""
    session = _this_thread.session
    if session is None:
        return  # a test's own, whose transaction would go with them
    django_internals.put_back(session.connection, using)
    has_other_settings = django_internals.restore_settings(session.connection, session.settings)
    _tidy(session.connection, has_to_end=has_other_settings or session.database.is_transaction_open())
    if django_internals.has_seen_errors(session.connection):
        session.connection.close_if_unusable_or_obsolete()
    tidy_other_connections(using)
    reset_queries()  # of all connections, which are Django's again


@awaiting_answer()
def has_open_transaction() -> bool:
    """Return whether the code that has run in this executor's session has left a transaction open."""
    if _this_thread.session is None:
        return False
    database, connection = _this_thread.session.database, _this_thread.session.connection
    is_plain = django_internals.guard_session(connection).is_plain
    has_begun_none = is_plain and not django_internals.has_transaction_state(connection)
    return database.is_transaction_open() or (not has_begun_none and database.finds_transaction_open())


def tidy_other_connections(using: str) -> None:
    """Leave nothing of one function to the next one in the other databases, nor in Django's objects."""
    for connection in django_internals.drop_misplaced():
        django_internals.restore_attributes(connection)
        if connection.alias != using:
            _tidy(connection)
            connection.close_if_unusable_or_obsolete()


def _tidy(connection: BaseDatabaseWrapper, *, has_to_end: bool = False) -> None:
    guard = django_internals.guard_session(connection)
    guard.close_cursors()
    has_unknown_wrappers = guard.wrappers is None and django_internals.statement_wrappers(connection)
    if has_to_end or not guard.is_plain or has_unknown_wrappers or django_internals.has_transaction_state(connection):
        close_connection(connection.alias)
    if guard.wrappers is not None and django_internals.statement_wrappers(connection) != guard.wrappers:
        django_internals.set_statement_wrappers(connection, list(guard.wrappers))


def replace_session(using: str) -> None:
    """Have the next statement begin a new session, if this thread is in an executor's session."""
    if _this_thread.session is not None:  # a test's own would take its transaction along
        close_connection(using)


@awaiting_answer()
def close_connection(alias: str) -> None:
    """Close a connection for good, also one that a pool would keep; the next use makes a new one."""
    django_internals.end_driver(django_internals.driver_of(connections[alias]))
    django_internals.discard(connections[alias])


def close_connections() -> None:
    """Close all connections of this thread for good; the next use makes new ones, also of Django's objects."""
    for connection in connections.all(initialized_only=True):
        close_connection(connection.alias)
        del connections[connection.alias]
