"""The execution of an action: its body starts at most once.

The invariant: before the body starts, ``in_progress`` and the executor's name are committed, and nobody ever
starts a row that is not ``pending``. So a body may not have started although its row says so (the worker died
in between), but it never starts twice.

When the worker dies the row stays ``in_progress`` until the executor is known to be gone, and is then recorded as
``failed``, ``lost``: see ``recovery.py``. If this executor was only thought to be gone, or the action was
canceled, the end of the body finds the row decided and is dropped.

With a backlog, a worker claims for the idle workers of its executor as well: several actions begin in one transaction
(``others``), and once it has committed, each is given to a worker that has nothing else to do. So each body
starts at once, however long the others take; at no moment are there more actions in progress than workers. It is the
same protocol, action by action:

* The process dies before COMMIT: all of them are pending, and none has started. After it: all of them are in progress,
  and will be lost, those as well whose bodies had not started yet. As with one action, the record cannot tell.
* One cannot begin: then none does. Nothing is committed, nothing is given to a worker, and they are claimed again.
* One is canceled right after COMMIT: that concerns its own row. Its body starts, and its end finds the row decided.
* The claim lock is kept until COMMIT (``poller.py``), so those that are idle when the actions are claimed are idle when
  they are given them. (Measured on PostgreSQL with eight workers: 1.7 times the actions per second, of 800 to 1,070
  before. To record the ends of several together as well brought nothing more, because the server writes to its disk for
  all that commit at the same time.)

COMMIT of the claim got no answer: the row is locked, which waits for a server that is still committing, and read.
If it names this executor and this attempt, the claim had taken effect and the body starts now; nobody else can
have started it, because nobody else has this name. As long as the row cannot be read we do not know, and ask again.
Of several that may have begun together each worker asks for its own one, because one of them may have been canceled, or
taken for lost, since. An error before COMMIT leaves no such doubt.

Its time is up: that is recorded when the body ends, or by another thread when it does not. Either way the end of the
body after that is dropped: see ``budget.py``.

The end of a body that has run must not get lost: it is recorded again and again until the database takes it. Where it
is away, the worker waits for it; where it refuses, another thread goes on trying.

What its ``Retry`` covers, or the body has asked for, is followed by another attempt: the row is pending again, once the
body has ended (``repetition.py``). So one whose time is up and that does not end is not recorded at all if another
attempt is to follow: its row stays in progress until it ends, or until its executor is gone.

An async body runs on the event loop of the process: see ``event_loop.py``. The worker waits for it, so the concurrency
is that of the workers.

While a body waits for something outside, its connection may die. So one that was idle is checked before it is used
again, by the body or for the record of its end: see ``checking_when_idle`` in ``session.py``.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction

from django_scheduler.context import Context
from django_scheduler.databases import django_internals
from django_scheduler.errors import SchedulerError
from django_scheduler.executor.body import FunctionExecution
from django_scheduler.executor.budget import Budget, Log
from django_scheduler.executor.event_loop import AsyncBody
from django_scheduler.executor.execution import Execution, SingleExecution
from django_scheduler.executor.repetition import (
    GivenUp,
    Repetition,
    after_failure,
    after_transient_error,
    asks_for_repetition,
    note_repetition,
)
from django_scheduler.executor.session import checking_when_idle, in_session, tidy_connections
from django_scheduler.executor.threads import start_in_background
from django_scheduler.executor.unexecutable import REFUSED, is_to_be_left, left, note_left
from django_scheduler.models import Failure, ScheduledFunction, ScheduledFunctionId, State
from django_scheduler.record import Transition, describe, let_in, transitions
from django_scheduler.scheduling import middleware_chain


class ActionBudget(Budget):
    """Limits the time of an action. An async body is canceled; any other one has to ask ``ctx.canceled``.

    ``record``: records the timeout of a body that does not end, in another thread.
    """

    def __init__(
        self, timeout: timedelta | None, log: Log, async_body: AsyncBody | None, record: Callable[[], None]
    ) -> None:
        super().__init__(timeout, log)
        self._async_body = async_body
        self._record = record

    def _interrupt(self) -> None:
        if self._async_body is not None:
            self._async_body.cancel()

    def _give_up(self) -> None:
        start_in_background(self._record)

    def forget_execution(self) -> None:
        super().forget_execution()
        del self._record, self._async_body


class ActionExecution(FunctionExecution):
    """Executes an action: commits that it begins, then runs its body, then records its end."""

    #: Those that begin in the same transaction. Other workers execute them, as soon as it has committed.
    others: "Sequence[ActionExecution]" = ()

    #: Whether all that is left of that transaction is COMMIT.
    is_committing = False

    #: The slot of its limit that it has taken.
    slot_id: int | None = None

    #: Whether its body has run.
    _has_run = False

    #: Runs the body, if that is async and has not ended.
    _async_body: AsyncBody | None = None

    @property
    def ids(self) -> Collection[ScheduledFunctionId]:
        return [each.id for each in self.chosen]

    @property
    def chosen(self) -> "Sequence[ActionExecution]":
        return [self, *self.others]

    def only(self, members: Sequence[SingleExecution]) -> Execution:
        first, *others = [each for each in members if isinstance(each, ActionExecution)]
        self.others, first.others = (), others
        return first

    def in_transaction(self) -> None:
        if not transitions.BEGIN.apply_to_all(self.database, list(self.ids), self.attempt_on_record):
            raise SchedulerError(
                f"{self.name} {self.id} cannot begin, because the database does not change its record."
            )
        for each in self.chosen:
            each.is_committing = True

    def after_rollback(self, error: BaseException) -> None:
        django_internals.discard(self.database.connection)
        problem = "whether it was claimed is not known yet"
        if not (self.is_committing and self.until_answered(self._was_claimed, problem)):
            raise error
        self.after_commit()

    def after_commit(self) -> None:
        with checking_when_idle(self.database.using):
            try:
                result = self.call()
                self.warn_of_open_transaction("its body")
            except BaseException as error:
                if is_to_be_left(self, error) and self._leave(error):
                    return
                self._fail(self.timed_out or error, Failure.TIMEOUT if self.timed_out else Failure.ERROR)
            else:
                self._end(transitions.END, {"result": result})

    def call(self) -> str | None:
        try:
            return super().call()
        finally:
            self._has_run = True

    @property
    def is_async(self) -> bool:
        return self.function.is_async

    @property
    def blocks_event_loop(self) -> bool:
        # It was canceled long before it was given up.
        body = self._async_body
        return self.is_given_up and body is not None and not body.cancel_was_delivered

    def make_budget(self) -> Budget:
        if self.function.is_async:
            self._async_body = AsyncBody(self.log)
        return ActionBudget(self.function.timeout, self.log, self._async_body, in_session(self.database, self._give_up))

    def call_through(self, outermost: middleware_chain.Run, arguments: dict[str, object]) -> object:
        with self.database.asked_on(None):
            return super().call_through(outermost, arguments)

    def run_body(self, arguments: dict[str, object]) -> Any:
        if self._async_body is not None:
            try:
                return self._async_body.run(self.function, arguments, Context(self.as_running()), self.rate_slot)
            finally:
                self._async_body = None
        # What it schedules is part of the transaction that it has opened, also on a connection that it has made.
        with self.database.asked_on(None):
            return super().run_body(arguments)

    def is_canceled_on_record(self) -> bool:
        return self.current_row() != self._on_record  # or its executor was taken for gone, and it has been repeated

    @property
    def _on_record(self) -> dict[str, Any]:
        """Return what the record says as long as the body runs."""
        return {"state": State.IN_PROGRESS, **self._seen}

    @property
    def _seen(self) -> dict[str, Any]:
        """Return by what an end of this attempt is known from one of another."""
        return {"executor": self.executor_name, "attempts": self.attempt}

    def _give_up(self) -> None:
        """Record the timeout of a body that does not end, in another thread and on that one's connection."""
        if self.budget is None or self.budget.has_ended:
            return
        self.log(logging.ERROR, "its time is up and its body does not end; it keeps its thread until it returns")
        if not self.is_async:
            self.budget.note_where_it_is("It does not end.")
        if not isinstance(self._what_follows(self.budget.error, Failure.TIMEOUT), Repetition):
            self._fail(self.budget.error, Failure.TIMEOUT)

    def _leave(self, error: BaseException) -> bool:
        """Leave it to executors with other code, for its body has not begun; return whether that is on record."""
        changes = {"attempts": self.claimed.attempts, **left(self, describe(error)["error"])}
        try:
            is_recorded = self.until_answered(
                lambda: self.record(transitions.LEAVE_BEGUN, changes, seen=self._seen),
                "that it is left to executors with other code could not be recorded yet",
                gives_up_on=self._is_refusal,
            )
        except Exception as problem:
            self.log(logging.ERROR, "it could not be left to executors with other code: %s", problem, error=problem)
            return False
        if is_recorded:
            self._clear_slot()  # the next attempt has the same number, and may have another slot
            note_left(self, REFUSED)
            self.forget(error)
        return is_recorded

    def _fail(self, error: BaseException, failure: Failure) -> None:
        """Record that the attempt has failed, or that another one follows."""
        match self._what_follows(error, failure):
            case Repetition() as repetition:
                self._end(transitions.RETRY_BEGUN, repetition.changes, error, repetition=repetition)
            case GivenUp(_, description, detail):
                changes = {"failure": Failure.TRANSIENT, **description}
                self._end(transitions.END_FAILED, changes, error, detail=detail)
            case None:
                self._end(transitions.END_FAILED, {"failure": failure, **describe(error)}, error)

    def _what_follows(self, error: BaseException, failure: Failure) -> Repetition | GivenUp | None:
        """Return what follows the attempt; ``None``: nothing, its failure is final."""
        is_asked_for = failure is Failure.ERROR and asks_for_repetition(error)
        if not is_asked_for and self.function.retry is None:
            return None
        try:
            self.until_answered(
                self._has_read_earlier_attempts,
                "its earlier attempts could not be read yet",
                gives_up_on=self._is_refusal,
            )
        except BaseException as problem:
            self.note_stop_request(problem)
            self.log(logging.ERROR, "it is not repeated, because its earlier attempts cannot be read: %s", problem)
            return None
        return after_transient_error(self, error) if is_asked_for else after_failure(self, error, failure)

    def _has_read_earlier_attempts(self) -> bool:
        tidy_connections(self.database.using)
        self.earlier_attempts()
        return True

    def _end(
        self,
        transition: Transition,
        changes: dict[str, Any],
        error: BaseException | None = None,
        *,
        repetition: Repetition | None = None,
        detail: str = "",
    ) -> None:
        what = f"its end ({transition.target.value})"
        yet = f"{what} could not be recorded yet"

        def record() -> bool:
            tidy_connections(self.database.using)
            return self.record(transition, changes, seen=self._seen)

        def conclude(is_recorded: bool) -> None:
            if not is_recorded:
                self.log_dropped(what)
            elif repetition is not None:
                note_repetition(self, repetition)
            else:
                self.announce(transition.target, changes.get("failure"), error, detail=detail)
            if self._has_run and (not is_recorded or changes.get("failure") is Failure.TIMEOUT):
                self._clear_slot()
            if error is not None:
                self.forget(error)

        try:
            is_recorded = self.until_answered(record, yet, gives_up_on=self._is_refusal)
        except BaseException as problem:
            self.note_stop_request(problem)
            self._record_in_background(problem, what, lambda: conclude(self.until_answered(record, yet, longest=60.0)))
        else:
            conclude(is_recorded)

    def _clear_slot(self) -> None:
        """Free the slot that is kept for the body of one that was canceled, or whose time was up, until it ends."""
        if self.slot_id is None:
            return
        slot_id, limit = self.slot_id, self.limit

        def clear() -> bool:
            with transaction.atomic(using=self.database.using):
                if self.database.clear_slot(slot_id, self.id, self.attempt, self.executor_name) and limit is not None:
                    let_in(self.database, {limit: 1})
            return True

        problem = "the slot of its limit could not be cleared yet"
        try:
            self.until_answered(clear, problem, gives_up_on=self._is_refusal)
        except BaseException as error:
            self.note_stop_request(error)
            self._record_in_background(error, "that its body has ended", lambda: self.until_answered(clear, problem))

    def _is_refusal(self, error: BaseException) -> bool:
        return not self.database.is_transient(error)

    def _record_in_background(self, problem: BaseException, what: str, end: Callable[[], object]) -> None:
        """Try without end in another thread what the database refuses: the worker has other functions to execute."""
        message = f"{what} could not be recorded. It is tried again and again as long as this process lives: %s"
        self.log(logging.ERROR, message, problem, error=problem)
        start_in_background(in_session(self.database, end))

    def _was_claimed(self) -> bool:
        rows = ScheduledFunction.objects.using(self.database.using).select_for_update()
        with transaction.atomic(using=self.database.using):
            row = rows.filter(pk=self.id).values(*self._on_record).first()
        return bool(row == self._on_record)
