"""The watch notices whether everything that a body has done would be committed, and why not.

A body may catch an error of the database and go on, although the database has thrown away what came before:
PostgreSQL then refuses everything and answers COMMIT with a rollback, MySQL after a deadlock says nothing at all and
commits what came later, SQLite after a full disk commits every later statement by itself. A body may also end the
transaction without any error: it closes the connection, enters a block by hand and does not leave it, or on MySQL
changes a table. So every error of a statement is noticed as it passes, and at the end the transaction is looked at.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

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
        #: An error that looks as if it would pass, but would be met again.
        self._recurring: BaseException | None = None
        self._ended = False
        self._broken = False
        #: Whether the transaction is another one, although the body seems to have left it as it was.
        self._has_lost_mark = False

    def __enter__(self) -> None:
        self._database.mark_transaction()
        self._connection = self._database.connection
        self._depth = len(django_internals.savepoints(self._connection))
        # On PostgreSQL a transaction begins with its first statement.
        self._begun = self._database.is_transaction_intact()
        self._wrappers = django_internals.statement_wrappers(self._connection)
        self._wrappers.append(self._notice)
        self._wrappers_within = list(self._wrappers)

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(ValueError):  # a body may have left its own, or removed all
            self._wrappers.remove(self._notice)
        was_replaced = django_internals.put_back(self._connection, self._database.using)
        follows = False
        with suppress(BaseException):  # an exception of the body's may raise when it is asked for its cause
            # What reading a cursor raises does not pass ``_notice``.
            if error is not None and error_type is not None and issubclass(error_type, DatabaseError | InterfaceError):
                self._note_recurring(error)
                self._note_wait_for_itself(error)
            follows = self._follows(error)
        self._broken = was_replaced or not self._would_commit()
        if django_internals.was_closed_in_transaction(self._connection):
            # If the body has only set the mark, Django would forget a connection that keeps its transaction.
            django_internals.end_driver(django_internals.driver_of(self._connection))
        if follows or django_internals.was_closed_in_transaction(self._database.connection):
            self._consequence = error
        if self._broken and error is None:
            raise BrokenTransaction(self._explanation()) from self._error

    @property
    def has_seen_errors(self) -> bool:
        """Return whether the database has reported an error, whatever the body made of it."""
        return self._error is not None or self._consequence is not None

    @property
    def was_ended_by_body(self) -> bool:
        """Return whether the body has ended the transaction itself, so that what it wrote before may be committed."""
        return self._error is None and (self._ended or self._has_lost_mark)

    @property
    def has_left_wrappers(self) -> bool:
        """Return whether the wrappers of statements are no longer those with which the body began."""
        return django_internals.statement_wrappers(self._connection) != self._wrappers_within

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
        depth = len(django_internals.savepoints(self._connection))
        was_closed = django_internals.was_closed_in_transaction(self._connection)
        return depth == self._depth and not was_closed and self._is_intact()

    def is_transient(self, error: BaseException) -> bool:
        """Return whether the attempt that ``error`` ended may succeed when it is repeated."""
        causes = [] if error is self._consequence else [error]
        if self._error is not None and (self._broken or not causes):
            # Whatever the body made of it: what broke the transaction has thrown away what it had done.
            causes.append(self._error)
        causes = [cause for cause in causes if cause is not self._recurring]
        return self.was_interrupted(error) or any(self._database.is_transient(cause) for cause in causes)

    def was_interrupted(self, error: BaseException) -> bool:
        """Return whether somebody has stopped it, whatever the body made of that."""
        return any(self._database.is_interruption(cause) for cause in (error, self._error) if cause)

    def _notice(self, execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        was_intact = self._is_intact()
        if not was_intact:
            self._refuse_more_if_ended()
        try:
            return execute(sql, params, many, context)
        except (DatabaseError, InterfaceError) as error:
            if was_intact:
                self._error = error
            else:
                self._consequence = error
            self._note_recurring(error, sql, params)
            self._ended |= self._database.ends_transaction(error)
            raise
        finally:
            self._begun = True
            self._refuse_more_if_ended()

    def _follows(self, error: BaseException | None) -> bool:
        """Return whether the error only says that the connection is lost, which an earlier error has said already."""
        if error is None or self._error is None or error is self._error:
            return False
        return self._ended and self._database.is_lost(error)

    def _note_recurring(self, error: BaseException, *sent: Any) -> None:
        if self._database.is_lost(error) and self._database.recurs(error, _bytes_of(sent)):
            self._recurring = error

    def _note_wait_for_itself(self, error: BaseException) -> None:
        is_of_this_connection = error is self._error or error is self._consequence
        if not is_of_this_connection and self._database.waits_for_this_transaction(error):
            self._recurring = error
            error.add_note(
                f"Another connection has waited for the transaction of {self._function_name}, which was waiting for it:"
                " SQLite lets one connection write at a time. Write in a thread only after the transaction"
                " (transaction.on_commit), or in an action."
            )

    def _refuse_more_if_ended(self) -> None:
        self._ended |= self._begun and not self._database.is_transaction_open()
        if self._ended:
            django_internals.refuse_statements(self._database.connection)

    def _is_intact(self) -> bool:
        if self._ended:
            return False
        if self._begun:
            return self._database.is_transaction_intact()
        return not django_internals.is_marked_for_rollback(self._database.connection)

    def _would_commit(self) -> bool:
        if not self.would_commit_so_far():
            return False
        self._has_lost_mark = not self._database.is_transaction_marked()
        return not self._has_lost_mark

    def _explanation(self) -> str:
        if self._error is None:
            return (
                f"{self._function_name}: the body returned, but its transaction cannot be committed: it is marked to"
                " be rolled back (set_rollback, or an exception that was caught inside an atomic block), its connection"
                " was closed or replaced, it was ended by a statement of the body (what that has committed stays), or"
                " the body has not left an atomic block that it entered."
            )
        return (
            f"{self._function_name}: the body caught {type(self._error).__name__} ({str(self._error).strip()}) and"
            " went on, but the database has given up the transaction, so nothing that it wrote remains. To catch an"
            " error of the database, put the statement into its own `with transaction.atomic():` and catch it outside"
            " of that."
        )


def _bytes_of(sent: Any) -> int:
    """Return about how many bytes text and its parameters have, however they are nested."""
    if isinstance(sent, str | bytes | bytearray | memoryview):
        return len(sent)
    if isinstance(sent, dict):
        return _bytes_of(list(sent.values()))
    return sum(map(_bytes_of, sent)) if isinstance(sent, list | tuple) else 0


class OwnTransaction:
    """Is the transaction that the body of a mutation runs in, within a block that is one call of the body.

    It is known by its ``atomic`` block. We have entered it for this body or, in a group, for those before it as well,
    so no other transaction has it, whoever begins one.
    """

    __slots__ = ("_block", "_body_has_ended", "_has_committed", "_using", "function_name")

    def __init__(self, function_name: str, connection: BaseDatabaseWrapper, has_committed: Callable[[], bool]) -> None:
        self.function_name = function_name
        self._using = connection.alias
        self._has_committed = has_committed
        self._block = django_internals.open_blocks(connection)[-1]
        self._body_has_ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._body_has_ended = True  # which may be before the transaction does

    def why_not_here(self) -> str | None:
        """Return why what is written now, in this thread, is not part of it; ``None`` if it is."""
        if self._body_has_ended:
            # In a hook of on_commit it can neither vanish nor happen twice any more.
            return None if self._has_committed() else "whose body has ended"
        connection = connections[self._using]
        if self._block not in django_internals.open_blocks(connection):
            return f"whose transaction is not open on the connection of this thread ({threading.current_thread().name})"
        if django_internals.was_closed_in_transaction(connection):
            return "which has closed its connection, and so ended its transaction"
        return None
