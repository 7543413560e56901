"""The execution of a mutation: its effects happen exactly once.

The invariant: what the body writes, what it schedules and cancels, and ``success`` are one transaction, which
also holds the lock of the row from before the body begins. So the effects are there if and only if the row says
``success``, and as long as it says ``pending`` nobody else runs the body: the others skip a locked row.

How it can end, and why that holds in each case:

* The worker dies, anywhere: the database drops the transaction and its lock with the connection. The row is
  ``pending`` as if nothing had been, and is claimed again at once.
* The body raises: the transaction is rolled back, and with it the lock. ``failed`` is recorded in a second
  transaction, which asks for ``pending`` and for the same number of attempts. Between the two another executor
  may claim the row and run the body once more. Then the record waits for that one's lock and finds either
  that it has succeeded, or the row as it was.
* A transient error (deadlock, serialization failure, lost connection, lock timeout, ``TransientError``):
  likewise, but what is recorded is one attempt more and a later due time.
* The body catches a database error and goes on: the database may have thrown away what came before (PostgreSQL
  then refuses everything, MySQL after a deadlock says nothing at all). ``success`` would lie. So every error of
  a statement is noticed as it passes, and a transaction that is not intact is rolled back: retried if what
  broke it was transient, else ``failed``.
* COMMIT reports an error, as a deferred constraint does: the same as an error of the body.
* The connection is lost during COMMIT: nobody knows. The retry that is then recorded on a new connection asks
  for ``pending``. If the server is still committing, it waits for the lock. If it finds the row, the transaction
  had vanished; if not, the row says ``success``, with this executor's name.

Django runs the hooks of ``on_commit`` while it leaves ``atomic``, where an exception of theirs looks like one of
COMMIT. So they are taken out before, and run afterwards, where they can change nothing.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError

from django_scheduler import values
from django_scheduler.databases import NOW
from django_scheduler.errors import SchedulerError
from django_scheduler.executor.backoff import backoff
from django_scheduler.executor.execution import FunctionExecution
from django_scheduler.executor.outcome import describe
from django_scheduler.executor.session import tidy_connections
from django_scheduler.models import Failure, Kind, State


class BrokenTransaction(SchedulerError):
    """The body of a mutation returned, but the database would not keep all that it has done."""


class MutationExecution(FunctionExecution):
    _database_error: BaseException | None = None
    _transaction_ended = False

    def in_transaction(self) -> None:
        self._commit_hooks: list[Callable[[], None]] = []
        with self._noticing_database_errors():
            arguments = values.load_arguments(self.name, self.claimed.args)
            try:
                result = self.call_body(arguments)
            finally:
                broken = self._transaction_ended or not self.database.is_transaction_intact()
                self._transaction_ended = broken
        if broken:
            raise BrokenTransaction(self._explain_broken_transaction()) from self._database_error
        self._commit_hooks = self._take_commit_hooks()
        changes = {
            "state": State.SUCCESS,
            "kind": Kind.MUTATION,
            "result": None if result is None else values.dump_result(result),
            "error": "",
            "traceback": "",
            "started_time": self.claimed.claim_time,
            "completed_time": NOW,
            "attempts": self.attempt,
            "worker": self.executor_name,
        }
        self.database.record(self.id, changes, only_if={"state": State.PENDING})

    def after_commit(self) -> None:
        for hook in self._commit_hooks:
            try:
                hook()
            except Exception as error:
                self.log(logging.ERROR, "%s %s: an on_commit hook failed", self.name, self.id, error=error)
        self.log_end(State.SUCCESS)

    def after_rollback(self, error: BaseException) -> None:
        tidy_connections(self.database.using)  # a broken connection is replaced
        if self._is_transient(error):
            self._retry(error)
        else:
            self._fail(error)

    def _is_transient(self, error: BaseException) -> bool:
        if self.database.is_transient(error):
            return True
        # Whatever the body made of it: a transient error has thrown away what it had done.
        caught = self._database_error
        return self._transaction_ended and caught is not None and self.database.is_transient(caught)

    def _retry(self, error: BaseException) -> None:
        delay = backoff(self.attempt)
        if self._record({"due_time": delay, **describe(error)}, error):
            self.log(
                logging.WARNING,
                "%s %s: attempt %d met a transient error and is repeated in %.3f s: %s",
                self.name,
                self.id,
                self.attempt,
                delay.total_seconds(),
                error,
                state=State.PENDING.value,
            )

    def _fail(self, error: BaseException) -> None:
        changes = {
            "state": State.FAILED,
            "kind": Kind.MUTATION,
            "failure": Failure.ERROR,
            "started_time": self.claimed.claim_time,
            "completed_time": NOW,
            "worker": self.executor_name,
            **describe(error),
        }
        if self._record(changes, error):
            self.log_end(State.FAILED, Failure.ERROR, error)

    def _record(self, changes: dict[str, Any], error: BaseException) -> bool:
        """Record how the attempt ended, if nobody else has decided since; whether that was so."""
        expected = {"state": State.PENDING, "attempts": self.claimed.attempts}
        if self.database.record(self.id, {"attempts": self.attempt, **changes}, only_if=expected):
            return True
        row = self.current_row()
        if row.get("state") == State.SUCCESS and row.get("worker") == self.executor_name:
            self.after_commit()  # COMMIT had taken effect; only its answer was lost
        else:
            self.log_dropped(f"the error of attempt {self.attempt} ({error})")
        return False

    @contextmanager
    def _noticing_database_errors(self) -> Iterator[None]:
        """Remember the last error of a statement, also if the body catches it."""

        def notice(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
            try:
                return execute(sql, params, many, context)
            except DatabaseError as error:
                self._database_error = error
                self._transaction_ended |= self.database.ends_transaction(error)
                raise

        with self.database.connection.execute_wrapper(notice):
            yield

    def _explain_broken_transaction(self) -> str:
        caught = self._database_error
        if caught is None:
            return (
                "the body returned, but its transaction is marked to be rolled back (set_rollback, or an exception"
                " that was caught inside an atomic block), so nothing that it wrote remains. Raise to fail."
            )
        return (
            f"the body caught {type(caught).__name__} ({str(caught).strip()}) and went on, but the database has given"
            " up the transaction, so nothing that it wrote remains. To catch an error of the database, put the"
            " statement into its own `with transaction.atomic():` and catch it outside of that."
        )

    def _take_commit_hooks(self) -> list[Callable[[], None]]:
        connection = self.database.connection
        hooks = [hook for _, hook, *_ in connection.run_on_commit]
        connection.run_on_commit = []
        return hooks
