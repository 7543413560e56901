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
* The body catches a database error and goes on, or ends the transaction in another way: ``success`` would lie.
  ``transactions/watch.py`` notices, and what is left is rolled back: retried if what broke it was transient, else
  ``failed``.
* Its time is up: the same as an error of the body, ``failed``, ``timeout``. If the body does not end, its session is
  ended for it, so the transaction vanishes, and the record is made by another thread, on the same conditions; the
  end of the body then finds the function decided. See ``budget.py``.
* COMMIT reports an error, as a deferred constraint does: the same as an error of the body.
* The connection is lost during COMMIT: it is not known whether it took effect. The retry that is then recorded on a
  new connection asks for ``pending``. If the server is still committing, it waits for the lock. If it finds the row,
  the transaction had vanished; if not, the row says ``success``, with this executor's name.

Django runs the hooks of ``on_commit`` while it leaves ``atomic``, where an exception of theirs looks like one of
COMMIT. So they are taken out before, and run afterwards, where they can change nothing.
"""

import logging
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Any

from django_scheduler import signals, values
from django_scheduler.databases import django_internals
from django_scheduler.errors import BrokenTransaction, SchedulerError, TimedOut
from django_scheduler.executor.budget import Budget, MutationBudget
from django_scheduler.executor.execution import FunctionExecution
from django_scheduler.executor.session import close_connection, tidy_connections
from django_scheduler.models import Failure, State
from django_scheduler.record import Transition, clear_frames, describe, transitions
from django_scheduler.transactions import TransactionWatch, backoff


class MutationExecution(FunctionExecution):
    """Executes a mutation in a transaction of its own; a group executes its members through ``run``."""

    #: What the body raised. If the rollback fails as well, that is not what has to be recorded.
    _error: BaseException | None = None

    #: The hooks of ``on_commit`` that the body has registered.
    commit_hooks: Sequence[Callable[[], object]] = ()

    def in_transaction(self) -> None:
        self._watch = TransactionWatch(self.database, self.name)
        try:
            with self._watch:
                result = self.run()
        except BaseException as error:
            self._error = error
            raise
        # Not the clock as this session sees it: the body may have set that.
        completed_time = self.database.later(self.claimed.claim_time, self.duration)
        changes = {"result": result, "completed_time": completed_time, **self.attempt_on_record}
        if not transitions.SUCCEED.apply(self.database, self.id, changes):
            raise BrokenTransaction(f"{self.name}: the body has changed or deleted the record of its own function.")

    def run(self) -> str | None:
        """Run the body in the open transaction, and return what it has returned as it is recorded."""
        result = self.call()
        self.commit_hooks = django_internals.take_commit_hooks(self.database.connection)
        return None if result is None else values.dump_result(result)

    def after_commit(self) -> None:
        for hook in self.commit_hooks:
            try:
                copy_context().run(hook)  # as the body: what a hook activates does not outlive it
            except BaseException as error:
                self.log(logging.ERROR, "an on_commit hook failed", error=error)
            tidy_connections(self.database.using)
        self.announce(State.SUCCESS)

    def after_rollback(self, error: BaseException) -> None:
        if self.timed_out:
            # On SQLite a cursor that was stopped half-way keeps the transaction, also of a closed connection. The
            # frames in which the body was stopped hold such cursors.
            vars(self).pop("_watch", None)
            clear_frames(error)
            clear_frames(self.timed_out)
            close_connection(self.database.using)  # a late command to stop must not meet what comes next
            self.fail(self.timed_out, Failure.TIMEOUT)
            return
        tidy_connections(self.database.using)  # a broken connection is replaced
        error = self._error or error
        if self._watch.is_transient(error):
            self._retry(error)
        else:
            self.fail(error)

    def _retry(self, error: BaseException) -> None:
        delay = backoff(self.attempt)
        description = describe(error)
        # Who has interrupted it decides what becomes of it, and may take as long as a transaction takes.
        changes = {"due_time": delay, "attempts": self.attempt, **description}
        if self._record(transitions.RETRY, changes, unless_held=self._watch.was_interrupted(error)):
            self.log(
                logging.WARNING,
                "attempt %d met a transient error and is repeated in %.3f s: %s",
                self.attempt,
                delay.total_seconds(),
                description["error"],
                state=State.PENDING.value,
            )

    def send_started(self) -> None:
        # An error of a receiver's statement would break the transaction, and what it writes would be part of it. So
        # nothing reaches the database, although Django thinks that what was refused has failed in the transaction.
        connection = self.database.connection
        savepoints = django_internals.savepoints(connection)
        with connection.execute_wrapper(self._refuse_statement):
            signals.send(signals.function_started, **self._as_told())
        django_internals.restore_savepoints(connection, savepoints)

    def _refuse_statement(self, *args: Any) -> Any:
        raise SchedulerError(
            f"A receiver of function_started cannot use the database {self.database.using!r} while {self.name}"
            f" {self.id} begins: it would be part of that mutation's transaction. Use function_finished, or another"
            " database."
        )

    def make_budget(self) -> Budget:
        return MutationBudget(self.function.timeout, self.log, self.database, self._give_up)

    def _give_up(self, error: TimedOut) -> None:
        """Record the timeout of a body that does not end, in another thread and on that one's connection."""
        self.release_claim_lock()
        self.log(
            logging.ERROR,
            "its time is up and its body does not react; it has lost its transaction, and keeps its thread until it"
            " returns",
        )
        self.fail(error, Failure.TIMEOUT)

    def fail(self, error: BaseException, failure: Failure = Failure.ERROR) -> None:
        """Record that the attempt has failed, outside of a transaction."""
        if self._record(transitions.FAIL, {"failure": failure, **self.attempt_on_record, **describe(error)}):
            self.announce(State.FAILED, failure, error)

    def _record(self, transition: Transition, changes: dict[str, Any], *, unless_held: bool = False) -> bool:
        """Record how the attempt ended, and return whether nobody else has decided since."""
        seen = {"attempts": self.claimed.attempts}
        if self.record(transition, changes, seen=seen, unless_held=unless_held):
            return True
        if self.has_recorded(State.SUCCESS):
            self.after_commit()  # COMMIT had taken effect; only its answer was lost
        else:
            self.log_dropped(f"the error of attempt {self.attempt} ({changes['error']})")
        return False
