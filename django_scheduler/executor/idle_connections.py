"""A connection that was idle while an action waited for something else is checked before the action uses it again.

A server that restarts, a pooler, a firewall or ``wait_timeout`` may have ended it meanwhile, and the action would fail
although nothing of it is wrong. So the first statement after ``IDLE`` seconds is preceded by a check, and a connection
that is dead is replaced. One that was in use a moment ago is not checked.

It is never replaced where something would be missed:

* Within a transaction: what came before is gone, and what follows would be committed alone.
* After a statement that may have set something for the session (a setting, a lock, a temporary table, a transaction
  that was begun by SQL): what follows relies on it.

There the action meets the error of the database, as it always does. (So does a mutation, which is a transaction; it is
then retried.)
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from math import inf
from typing import Any

from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from django_scheduler.databases import VENDORS, database_for, django_internals
from django_scheduler.executor.grouping import READS_OR_WRITES_ROWS
from django_scheduler.models import Kind
from django_scheduler.scheduling import running

#: For how long a connection may be idle without being checked, in seconds.
IDLE = 2.0

#: A setting of PostgreSQL that ends with its transaction, as that of our wake-ups.
FOR_A_TRANSACTION = re.compile(r"\bset_config\('\w+', (?:'\w+'|%s), true\)", re.IGNORECASE)


@contextmanager
def checked_when_idle(using: str) -> Iterator[None]:
    """Check within the block this thread's connections when they have been idle, and all that an action makes.

    ``using``: the connection that was in use until now. Nobody knows of the others how long they have been idle.
    """
    _watch_new_connections()
    for connection in connections.all(initialized_only=True):
        if django_internals.driver_of(connection) is not None:
            _begin_check(connection, used_at=time.monotonic() if connection.alias == using else -inf)
    try:
        yield
    finally:
        for connection in connections.all(initialized_only=True):
            _end_check(connection)


@cache
def _watch_new_connections() -> None:
    # Not before the first action, so that the receivers of apps come first: what they set up in a new session nobody
    # will miss.
    connection_created.connect(_check_new_connection)


def _check_new_connection(connection: BaseDatabaseWrapper, **kwargs: object) -> None:
    current = running.get()
    if current is not None and current.scheduled_kind is Kind.ACTION:
        _end_check(connection)  # that of the session before
        _begin_check(connection, used_at=time.monotonic())


def _begin_check(connection: BaseDatabaseWrapper, *, used_at: float) -> None:
    check = _IdleCheck(connection, used_at)
    # First, and so the outermost one: who has added a wrapper for a while removes the last one.
    django_internals.statement_wrappers(connection).insert(0, check)
    django_internals.ask_before_use(connection, check.replace_if_dead)


def _end_check(connection: BaseDatabaseWrapper) -> None:
    wrappers = django_internals.statement_wrappers(connection)
    wrappers[:] = [wrapper for wrapper in wrappers if not isinstance(wrapper, _IdleCheck)]
    django_internals.ask_before_use(connection, None)


def _is_in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Return whether a transaction is open, also where the driver was told to begin it, as far as that can be seen."""
    return django_internals.is_in_transaction(connection) or (
        connection.vendor in VENDORS and database_for(connection.alias).is_transaction_open()
    )


class _IdleCheck:
    """Checks a session. Statements go through it, as through a wrapper, and Django asks it before each use."""

    def __init__(self, connection: BaseDatabaseWrapper, used_at: float) -> None:
        self._connection = connection
        self._driver = django_internals.driver_of(connection)
        self._used_at = used_at
        self._may_be_replaced = True

    def __call__(self, execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        if not (isinstance(sql, str) and READS_OR_WRITES_ROWS.match(FOR_A_TRANSACTION.sub("", sql))):
            self._may_be_replaced = False
        try:
            return execute(sql, params, many, context)
        finally:
            self._used_at = time.monotonic()

    def replace_if_dead(self) -> None:
        """Close the connection if it was idle and is found to be dead; Django then makes a new one."""
        if (
            time.monotonic() - self._used_at <= IDLE
            or not self._may_be_replaced
            or django_internals.driver_of(self._connection) is not self._driver  # Django is about to set up a new one
            or _is_in_transaction(self._connection)
        ):
            return
        self._used_at = time.monotonic()
        if not self._connection.is_usable():
            with suppress(DatabaseError, InterfaceError):
                self._connection.close()
