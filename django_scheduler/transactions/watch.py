"""The watch notices whether everything that a body has done would be committed, and why not.

A body may catch an error of the database and go on, although the database has thrown away what came before:
PostgreSQL then refuses everything and answers COMMIT with a rollback, MySQL after a deadlock says nothing at all and
commits what came later, SQLite after a full disk commits every later statement by itself. A body may also end the
transaction without any error: it closes the connection, enters a block by hand and does not leave it, or on MySQL
changes a table. So every error of a statement is noticed as it passes, and at the end the transaction is looked at.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from django.db import DatabaseError, InterfaceError

from django_scheduler.databases import Database, django_internals
from django_scheduler.errors import BrokenTransaction


class TransactionWatch:
    """Surrounds a body, inside of its transaction.

    Raises ``BrokenTransaction`` at its end if the body returned, but not all that it has done would be committed.
    """

    def __init__(self, database: Database, function_name: str) -> None:
        self._database = database
        self._function_name = function_name
        #: The error of a statement that may have broken the transaction, and one that only followed from it.
        self._error: BaseException | None = None
        self._consequence: BaseException | None = None
        self._ended = False
        self._broken = False

    def __enter__(self) -> None:
        self._database.mark_transaction()
        self._depth = len(django_internals.savepoints(self._database.connection))
        # On PostgreSQL a transaction begins with its first statement.
        self._begun = self._database.is_transaction_intact()
        self._wrappers = django_internals.statement_wrappers(self._database.connection)
        self._wrappers.append(self._notice)
        self._wrappers_within = list(self._wrappers)

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._wrappers.remove(self._notice)  # it need not be the last one, because a body may have left its own
        self._broken = not self._would_commit()
        if django_internals.was_closed_in_transaction(self._database.connection):
            self._consequence = error
        if self._broken and error is None:
            raise BrokenTransaction(self._explanation()) from self._error

    @property
    def has_seen_errors(self) -> bool:
        """Return whether the database has reported an error, whatever the body made of it."""
        return self._error is not None or self._consequence is not None

    @property
    def has_left_wrappers(self) -> bool:
        """Return whether the wrappers of statements are no longer those with which the body began."""
        return django_internals.statement_wrappers(self._database.connection) != self._wrappers_within

    def was_ended_unseen(self) -> bool:
        """Return whether the transaction is gone, although nobody has closed it or met an error, as far as is known."""
        connection = self._database.connection
        return (
            self._begun
            and not self.has_seen_errors
            and not django_internals.was_closed_in_transaction(connection)
            and not self._database.is_transaction_open()
        )

    def would_commit_so_far(self) -> bool:
        """Return whether the body has left its blocks and broken nothing, as far as is known without asking."""
        depth = len(django_internals.savepoints(self._database.connection))
        return depth == self._depth and self._is_intact()

    def is_transient(self, error: BaseException) -> bool:
        """Return whether the attempt that ``error`` ended may succeed when it is repeated."""
        causes = [] if error is self._consequence else [error]
        if self._error is not None and (self._broken or not causes):
            # Whatever the body made of it: what broke the transaction has thrown away what it had done.
            causes.append(self._error)
        return self.was_interrupted(error) or any(self._database.is_transient(cause) for cause in causes)

    def was_interrupted(self, error: BaseException) -> bool:
        """Return whether somebody has stopped it, whatever the body made of that."""
        return any(self._database.is_interruption(cause) for cause in (error, self._error) if cause)

    def _notice(self, execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        self._refuse_more_if_ended()
        was_intact = self._is_intact()
        try:
            return execute(sql, params, many, context)
        except (DatabaseError, InterfaceError) as error:
            if was_intact:
                self._error = error
            else:
                self._consequence = error
            self._ended |= self._database.ends_transaction(error)
            raise
        finally:
            self._begun = True
            self._refuse_more_if_ended()

    def _refuse_more_if_ended(self) -> None:
        self._ended |= self._begun and not self._database.is_transaction_open()
        if self._ended:
            django_internals.refuse_statements(self._database.connection)

    def _is_intact(self) -> bool:
        if self._ended or django_internals.is_marked_for_rollback(self._database.connection):
            return False
        return not self._begun or self._database.is_transaction_intact()

    def _would_commit(self) -> bool:
        return self.would_commit_so_far() and self._database.is_transaction_marked()

    def _explanation(self) -> str:
        if self._error is None:
            return (
                f"{self._function_name}: the body returned, but its transaction cannot be committed: it is marked to"
                " be rolled back (set_rollback, or an exception that was caught inside an atomic block), it was closed"
                " or ended by a statement of the body, or the body has not left an atomic block that it entered."
            )
        return (
            f"{self._function_name}: the body caught {type(self._error).__name__} ({str(self._error).strip()}) and"
            " went on, but the database has given up the transaction, so nothing that it wrote remains. To catch an"
            " error of the database, put the statement into its own `with transaction.atomic():` and catch it outside"
            " of that."
        )
