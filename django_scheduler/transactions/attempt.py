"""Trying again: a transaction that has conflicted with another one is repeated, where that is safe.

``Attempt`` is one run of a mutation's body that somebody calls directly, in a transaction of its own: whether another
run may follow. ``in_transaction`` makes a change of ours, such as a cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.db import DatabaseError, connections, transaction

from django_scheduler.databases import Database, database_for, django_internals
from django_scheduler.transactions.watch import TransactionWatch


class Attempt:
    """Runs one attempt at a mutation in a transaction of its own, and says whether another may follow."""

    def __init__(self, database: Database, function_name: str) -> None:
        self._database = database
        self._watch = TransactionWatch(database, function_name)
        self._body_has_ended = False
        #: So that what is raised from now on comes from a hook of ``on_commit``.
        self.has_committed = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Open the transaction in which the body runs."""
        with transaction.atomic(using=self._database.using):
            # The first hook: it has been called before one of the body's raises.
            transaction.on_commit(self._note_commit, using=self._database.using)
            with self._watch:
                yield
            self._body_has_ended = True

    def may_be_repeated(self, error: BaseException) -> bool:
        """Return whether the attempt that ``error`` ended has left nothing behind, and another one may succeed.

        It is asked only while the attempt has not committed.
        """
        if self._body_has_ended:
            return self._database.is_conflict(error)
        return self._watch.is_transient(error)

    def _note_commit(self) -> None:
        self.has_committed = True


T = TypeVar("T")

#: How often a transaction of its own is repeated because it conflicted with another one.
CONFLICT_RETRIES = 4


def in_transaction(using: str, change: Callable[[], T]) -> T:
    """Make the change as part of the open transaction, or in one of its own, which is repeated after a conflict."""
    conflicts = 0
    while True:
        try:
            with transaction.atomic(using=using):
                return change()
        except DatabaseError as error:
            conflicts += 1
            is_callers = django_internals.is_in_atomic_block(connections[using])
            if is_callers or conflicts > CONFLICT_RETRIES or not database_for(using).is_conflict(error):
                raise
