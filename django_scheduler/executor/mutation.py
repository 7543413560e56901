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
* The body raises what its ``Retry`` covers: likewise, but what is recorded is one attempt and one failure more, and a
  later due time. See ``repetition.py``.
* This code refuses the arguments on record: likewise, but the function stays pending for executors with other code. See
  ``unexecutable.py``.
* A transient error (deadlock, serialization failure, lost connection, lock timeout, ``TransientError``):
  likewise, but what is recorded is one attempt more and a later due time. It is ``failed``, ``transient``, once so many
  attempts in a row have met the same error that it does not look as if it would pass.
* The body catches a database error and goes on, or ends the transaction in another way: ``success`` would be wrong.
  ``transactions/watch.py`` notices, and what is left is rolled back: retried if what broke it was transient, else
  ``failed``.
* Its time is up: the same as an error of the body, ``failed``, ``timeout``. If the body does not end, its session is
  ended for it, so the transaction vanishes, and the record is made by another thread, on the same conditions; the
  end of the body then finds the function decided. See ``budget.py``.
* Its session cannot record the success, because of what the body has set there: ``failed``, recorded on a new session.
* The end itself cannot be recorded, not even on a new session and in plain words: it runs again later. See ``record``
  in ``execution.py``, and for a database that takes nothing at all ``claim_policy.py``.
* A signal's exception arrives, in the main thread of a fleet's worker. In the body, it is an error of the body. After
  it, the mutation is to run again; in the end the signal's exception goes on.
* COMMIT reports an error, as a deferred constraint does: the same as an error of the body.
* The connection is lost during COMMIT: it is not known whether it took effect. So the row is locked and read on a new
  connection. If the server is still committing, that waits for the lock; and it is asked again until there is an
  answer. If the row says ``success``, with this executor's name, it took effect. If not, the transaction had vanished.

Django runs the hooks of ``on_commit`` while it leaves ``atomic``, where an exception of theirs looks like one of
COMMIT. So they are taken out before, and run afterwards, where they can change nothing.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.db.models import Q

from django_scheduler import signals
from django_scheduler.databases import django_internals
from django_scheduler.errors import BrokenTransaction, SchedulerError, TimedOut
from django_scheduler.executor.answer_timeout import awaiting_answer
from django_scheduler.executor.body import FunctionExecution, in_isolation
from django_scheduler.executor.budget import Budget, MutationBudget
from django_scheduler.executor.repetition import (
    GivenUp,
    Repetition,
    after_failure,
    after_transient_error,
    note_repetition,
)
from django_scheduler.executor.session import close_connection, in_session, replace_session, tidy_connections
from django_scheduler.executor.unexecutable import REFUSED, is_to_be_left, left, note_left
from django_scheduler.models import Failure, ScheduledFunction, State
from django_scheduler.record import Transition, clear_frames, describe, transitions
from django_scheduler.transactions import OwnTransaction, TransactionWatch, backoff, in_transaction


class MutationExecution(FunctionExecution):
    """Executes a mutation in a transaction of its own; a group executes its members through ``run``."""

    #: What the body raised. If the rollback fails as well, that is not what has to be recorded.
    _error: BaseException | None = None

    #: Whether all that is left of its transaction is COMMIT.
    _is_committing = False

    #: Whether it is known that it has committed.
    _is_committed = False

    #: The hooks of ``on_commit`` that the body has registered.
    commit_hooks: Sequence[Callable[[], object]] = ()

    #: Whether the attempt has met a transient error, and is repeated.
    has_met_transient_error = False

    def in_transaction(self) -> None:
        self._watch = TransactionWatch(self.database, self.name)
        try:
            with self._watch:
                result = self.run()
        except BaseException as error:
            self._error = error
            raise
        completed_time = self.database.end_time(self.claimed.claim_time, self.duration)
        changes = {"result": result, "completed_time": completed_time, **self.attempt_on_record}
        try:
            self.let_next_in(2)  # they may share a transaction and a slot, and so may twice as many after them
            is_recorded = transitions.SUCCEED.apply(self.database, self.id, changes, followed=self.followed)
        except Exception as error:
            if self.database.is_transient(error):
                raise
            raise BrokenTransaction(
                f"{self.name}: the body returned, but its session cannot record the success, so nothing that it wrote"
                " remains. Something that it has set there prevents it: a role, a search path, another database, or"
                f" read only. The database says: {error}"
            ) from error
        if not is_recorded:
            raise BrokenTransaction(f"{self.name}: the body has changed or deleted the record of its own function.")
        self._is_committing = True

    def run(self) -> str | None:
        """Run the body in the open transaction, and return its result as it is recorded."""
        result = self.call()
        self.commit_hooks = django_internals.take_commit_hooks(self.database.connection)
        return result

    def run_body(self, arguments: dict[str, object]) -> Any:
        with OwnTransaction(self.name, self.database.connection, self._has_committed) as own:
            return self.run_as(self.as_running(own), arguments)

    def _has_committed(self) -> bool:
        return self._is_committed

    def after_commit(self) -> None:
        self.run_commit_hooks()
        self.announce(State.SUCCESS)

    def run_commit_hooks(self) -> None:
        """Run what the body has registered with ``on_commit``, now that its transaction has committed."""
        self._is_committed = True
        for hook in self.commit_hooks:
            try:
                with self.database.asked_on(None):
                    in_isolation(hook)
                self.warn_of_open_transaction("an on_commit hook")
            except BaseException as error:
                self.log(logging.ERROR, "an on_commit hook failed", error=error)
                self.forget(error)
            tidy_connections(self.database.using)

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
        if self._error is None:
            self.note_stop_request(error)
            if not isinstance(error, DatabaseError | InterfaceError):
                replace_session(self.database.using)  # the body, or a signal, has left it so that it cannot record
        tidy_connections(self.database.using)  # a broken connection is replaced
        if self._is_committing and self.database.is_lost(error) and self.has_committed():
            self.after_commit()  # only its answer was lost
            return
        error = self._error or error
        if self.stop_request or self._is_transient(error):
            self._retry(error)
        elif is_to_be_left(self, error):
            self._leave(error)
        elif not self._watch.was_ended_by_body and (repetition := after_failure(self, error, Failure.ERROR)):
            self._repeat(repetition)
        else:
            self.fail(error)

    def _leave(self, error: BaseException) -> None:
        """Leave it to executors with other code."""
        if self._record(transitions.LEAVE, left(self, describe(error)["error"]), unless_held=True):
            note_left(self, REFUSED)

    def has_committed(self) -> bool:
        """Return whether a COMMIT that got no answer took effect, as soon as the database says so."""

        def ask() -> bool:
            # Locked, so that a server that is still committing is waited for; which is a conflict where a transaction
            # sees nothing that is committed after its beginning.
            rows = ScheduledFunction.objects.using(self.database.using).select_for_update()
            first = rows.filter(pk=self.id).values("state", "executor")
            row = in_transaction(self.database.using, first.first)
            return bool(row == {"state": State.SUCCESS, "executor": self.executor_name})

        return self.until_answered(ask, "whether it has committed is not known yet")

    def _is_transient(self, error: BaseException) -> bool:
        try:
            return self._watch.is_transient(error)
        except BaseException:  # an exception of the body's may raise when it is asked for its class
            return False

    def _retry(self, error: BaseException) -> None:
        outcome = after_transient_error(self, error)
        if isinstance(outcome, GivenUp):
            changes = {**outcome.description, "same_errors": outcome.same_errors}
            self.fail(error, Failure.TRANSIENT, changes, detail=outcome.detail)
            return
        self.has_met_transient_error = not outcome.is_asked_for
        # Who has interrupted it decides what becomes of it, and may take as long as a transaction takes.
        self._repeat(outcome, unless_held=self._watch.was_interrupted(error))

    def _repeat(self, repetition: Repetition, *, unless_held: bool = False) -> None:
        """Have another attempt follow."""
        changes = {"attempts": self.attempt, **repetition.changes}
        if self._record(transitions.RETRY, changes, unless_held=unless_held):
            note_repetition(self, repetition)

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
        return MutationBudget(self.function.timeout, self.log, self.database, self._give_up_in_session)

    def _give_up_in_session(self, error: TimedOut) -> None:
        in_session(self.database, lambda: self._give_up(error))()

    def _give_up(self, error: TimedOut) -> None:
        """Record the timeout of a body that does not end, in another thread and on that one's connection."""
        self.release_claim_lock()
        self.log(
            logging.ERROR,
            "its time is up and its body does not react; it has lost its transaction, and keeps its thread until it"
            " returns",
        )
        self.fail(error, Failure.TIMEOUT)

    def fail(
        self,
        error: BaseException,
        failure: Failure = Failure.ERROR,
        description: dict[str, Any] | None = None,
        *,
        detail: str = "",
    ) -> None:
        """Record that the attempt has failed, outside of a transaction."""
        changes = {"failure": failure, "same_errors": 0, **self.attempt_on_record, **(description or describe(error))}
        if self._record(transitions.FAIL, changes):
            self.announce(State.FAILED, failure, error, detail=detail)

    def _put_off(self, refusal: Exception) -> None:
        """Have it run again later: the database takes its row, but not that it has failed."""
        delay = backoff(self.attempt)
        error = (
            f"It has failed, but the database refused to record that, so it runs again: {describe(refusal)['error']}"
        )
        changes = {
            "due_time": delay,
            "attempts": self.attempt,
            "same_errors": self.claimed.same_errors,
            "error": error,
            "traceback": "",
            **self.earlier_attempts().on_record,
        }
        if self.record(transitions.RETRY, changes, seen=self.seen):
            message = "it has failed, but the database refused to record that. It runs again in %.3f s: %s"
            self.log(logging.ERROR, message, delay.total_seconds(), refusal, error=refusal, state=State.PENDING.value)

    def _record(self, transition: Transition, changes: dict[str, Any], *, unless_held: bool = False) -> bool:
        """Record how the attempt ended, and return whether nobody else has decided since."""
        try:
            if self.record(transition, changes, seen=self.seen, unless_held=unless_held):
                return True
        except Exception as refusal:
            if transition is transitions.RETRY or self.database.is_transient(refusal):
                raise
            self._put_off(refusal)
            return False
        if self._is_committing and self.has_recorded(State.SUCCESS):
            self.after_commit()  # COMMIT had taken effect; only its answer was lost
        elif self._was_executed_elsewhere():
            message = "attempt %d was executed by another worker as well, before its rollback here was recorded"
            self.log(logging.INFO, message, self.attempt)
        else:
            self.log_dropped(f"the error of attempt {self.attempt} ({changes['error']})")
        return False

    @awaiting_answer()
    def _was_executed_elsewhere(self) -> bool:
        """Return whether somebody else has made the attempt since: another executor, or a worker of this one."""
        rows = ScheduledFunction.objects.using(self.database.using).filter(pk=self.id, attempts__gte=self.attempt)
        own = Q(executor=self.executor_name, started_time=self.database.instant(self.claimed.claim_time))
        return bool(rows.exclude(own).exists())
