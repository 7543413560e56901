"""A body is called in isolation from those before it, within its time budget, and with a ``ctx`` of its own.

Nothing of what one body leaves in Python's state of its thread reaches the next one.

* What belongs to a context is new for each call: variables of ``contextvars``, and with them decimal's context, and
  the language, time zone, urlconf and script prefix of Django.
* What belongs to the thread is as before after each call: its trace and profile functions, and its event loops, the one
  that runs and the one that is set. (Code of others may have set one in a thread of theirs, which cannot be asked
  without making one. So that one is left alone in threads that are not ours.)
* What belongs to the process, and a ``threading.local`` of the body's own, stays: see ``docs/guarantees.md``.
"""

import json
import logging
import os
import threading
import time
from abc import abstractmethod
from asyncio import _get_running_loop, _set_running_loop, set_event_loop
from collections.abc import Callable, Collection
from contextvars import Context as ContextOfVariables
from datetime import datetime
from functools import partial
from sys import getprofile, gettrace, setprofile, settrace
from typing import Any, TypeVar
from uuid import UUID, uuid5

from django_scheduler import signals, values
from django_scheduler.context import Context
from django_scheduler.databases import Claimable, Database, django_internals
from django_scheduler.errors import InvalidArguments, TimedOut
from django_scheduler.executor import forks, running_bodies
from django_scheduler.executor.answer_timeout import awaiting_answer, awaiting_nothing
from django_scheduler.executor.budget import Budget
from django_scheduler.executor.execution import SingleExecution
from django_scheduler.executor.rate_slots import RateSlot
from django_scheduler.executor.session import has_open_transaction, tidy_connections
from django_scheduler.functions import AnyFunction
from django_scheduler.models import Failure, ScheduledFunction, ScheduledFunctionId, State
from django_scheduler.scheduling import Running, middleware_chain, running
from django_scheduler.transactions import OwnTransaction

#: Set when this process is about to end, whatever is executing.
process_is_ending = threading.Event()

#: How often ``ctx.canceled`` reads the record at most, in seconds.
CANCELED_INTERVAL = 1.0

#: Of the keys by which others recognize a function. It must never change.
IDEMPOTENCY_KEYS = UUID("5d3c7ab2-9f0e-4f43-8d7c-3b1f0a6d2e91")


class _ThisThread(threading.local):
    #: Whether it does nothing but what executors do.
    is_ours = False


_this_thread = _ThisThread()

R = TypeVar("R")


def own_this_thread() -> None:
    """Note that this thread does nothing but what executors do."""
    _this_thread.is_ours = True


def in_isolation(call: Callable[[], R]) -> R:
    """Call where nothing of the Python state of earlier calls is left, and leave nothing to later ones."""
    result: R = ContextOfVariables().run(_and_tidy_thread, call)
    return result


def _and_tidy_thread(call: Callable[[], R]) -> R:
    trace, profile, loop = gettrace(), getprofile(), _get_running_loop()
    try:
        return call()
    finally:
        if gettrace() is not trace:
            settrace(trace)
        if getprofile() is not profile:
            setprofile(profile)
        if _get_running_loop() is not loop:
            _set_running_loop(loop)  # or Django would refuse every statement of this thread
        if _this_thread.is_ours:
            set_event_loop(None)


class FunctionExecution(SingleExecution):
    """Executes a function that exists."""

    #: The functions that were claimed for the same transaction, itself among them, if it is not alone there.
    shares_with: Collection[ScheduledFunctionId] = ()

    #: Which attempt has failed, in words, if it is repeated after such an error, but not any more.
    last_attempt = ""

    def __init__(self, claimed: Claimable, database: Database, executor_name: str, function: AnyFunction) -> None:
        super().__init__(claimed, database, executor_name)
        self.function = function
        self.kind = function.kind
        if function.concurrency is not None:
            self.limit = function.limit_of(claimed.args)
            if function.keeps_order:
                self.in_order_of = self.limit
        if function.rate_limit is not None:
            self.rate_limit = function.rate_limit_of(claimed.args)
        #: The slot of its rate limit that was taken for it.
        self.rate_slot: RateSlot | None = None
        #: Of the call of its body that has begun last.
        self.budget: Budget | None = None
        #: Why this code cannot call the body with the arguments on record.
        self.refusal: InvalidArguments | None = None
        self._process_id = os.getpid()
        #: Whether the record has said that the function is canceled, and when it was read last (at first when the
        #: execution has begun), by ``time.monotonic()``.
        self._was_canceled, self._asked_at = False, time.monotonic()

    @abstractmethod
    def make_budget(self) -> Budget:
        """Return the time budget of one call of the body."""

    def is_canceled_on_record(self) -> bool:
        """Return whether the function has been canceled although it is executing."""
        return False

    @property
    def is_given_up(self) -> bool:
        return self.budget is not None and self.budget.is_given_up

    @property
    def timed_out(self) -> TimedOut | None:
        """Return how the body ended if it took longer than it may, whatever it then returned or raised."""
        return self.budget.error if self.budget and self.budget.is_exceeded else None

    def announce(
        self, state: State, failure: Failure | None = None, error: BaseException | None = None, *, detail: str = ""
    ) -> None:
        super().announce(state, failure, error, detail=detail or self.last_attempt)

    def call(self) -> str | None:
        """Call the body with its arguments, note meanwhile that it runs, and return its result as it is recorded.

        It runs within its time budget, and in isolation from what earlier ones have left. Raises what it raises,
        ``TimedOut``, and what ``load_arguments`` raises.
        """
        return in_isolation(self._call)

    def _call(self) -> str | None:
        entry = running_bodies.this_thread.entry
        if entry is None:
            return self._call_in_time()
        bodies, number = entry
        bodies.enter(number, self.id, self.name)
        try:
            return self._call_in_time()
        finally:
            bodies.leave(number)

    def _call_in_time(self) -> str | None:
        with awaiting_nothing():
            arguments = self.load_arguments()
            if signals.function_started.receivers:
                self.send_started()
            return self._call_within_budget(arguments)

    def _call_within_budget(self, arguments: dict[str, object]) -> str | None:
        budget = self.budget = self.make_budget()
        try:
            return budget.call(self._run_body, arguments)
        finally:
            if not budget.is_exceeded:
                budget.forget_execution()

    def warn_of_open_transaction(self, who: str) -> None:
        """Log that code has returned with a transaction open, if it has."""
        if has_open_transaction():
            message = "%s has returned with a transaction open, which is rolled back with what it wrote there"
            self.log(logging.WARNING, message, who)

    def log_dropped(self, what: str) -> None:
        """Log that an outcome is not recorded: a cancel, another executor or the end of the time decided before."""
        rows = ScheduledFunction.objects.using(self.database.using).filter(pk=self.id)
        with awaiting_answer():
            state, failure = rows.values_list("state", "failure").first() or ("deleted", "")
        message = "%s is dropped, because the function was decided meanwhile; it is now %s"
        self.log(logging.WARNING, message, what, f"{state} ({failure})" if failure else state)

    def load_arguments(self) -> dict[str, object]:
        """Return the arguments for the body.

        Raises ``InvalidArguments`` if the code has changed since, so that they cannot be restored or do not fit.
        """
        try:
            return self.function.bind((), values.load_arguments(self.name, self.claimed.args))
        except InvalidArguments as error:
            if self.may_be_left:
                self.refusal = error
                raise
        try:  # no other code will, so a callback is told an outcome whose result is gone
            return self.function.bind((), values.load_arguments(self.name, self.claimed.args, is_final=True))
        except InvalidArguments as error:
            self.refusal = error
            raise

    def send_started(self) -> None:
        """Send ``function_started``, and leave to the body nothing of what receivers do to the connections."""
        signals.send(signals.function_started, **self._as_told())
        tidy_connections(self.database.using)

    def _as_told(self) -> dict[str, Any]:
        """Return what receivers of ``function_started`` are told."""
        return {
            "function_id": self.id,
            "name": self.name,
            "kind": self.function.kind.value,
            "queue": self.claimed.queue,
            "attempt": self.attempt,
            "lag": self.lag,
            "executor": self.executor_name,
            "using": self.database.using,
        }

    def _run_body(self, arguments: dict[str, object]) -> str | None:
        try:
            outermost = (middleware_chain.chain or middleware_chain.make_chain()).outermost
            result = self.run_body(arguments) if outermost is None else self.call_through(outermost, arguments)
            return None if result is None else values.dump_result(result)  # which may call code of the result
        finally:
            if os.getpid() != self._process_id:
                forks.end_process()
            if django_internals.has_cursors(self.database.connection):
                with awaiting_answer():
                    django_internals.close_cursors(self.database.connection)

    def call_through(self, outermost: middleware_chain.Run, arguments: dict[str, object]) -> object:
        """Call the body through the middleware around it, which finds in ``ctx`` what belongs to the function."""
        context = self.claimed.context
        call = middleware_chain.Call(
            name=self.name,
            kind=self.function.kind,
            id=self.id,
            args=arguments,
            context=json.loads(context) if context else {},
            attempt=self.attempt,
            queue=self.claimed.queue,
            executor=self.executor_name,
            lag=self.lag,
            using=self.database.using,
        )
        token = running.set(self.as_running())
        try:
            return middleware_chain.call_through(outermost, call, partial(self.run_body, arguments))
        finally:
            running.reset(token)

    def run_body(self, arguments: dict[str, object]) -> Any:
        return self.run_as(self.as_running(), arguments)

    def run_as(self, current: Running, arguments: dict[str, object]) -> Any:
        """Call the function; while it runs, the imported ``ctx`` is bound to it, as is the one that it is given."""
        if self.rate_slot is not None:
            self.rate_slot.renew_if_late()
        token = running.set(current)
        try:
            return self.function.body(Context(current), **arguments)
        finally:
            running.reset(token)

    def as_running(self, transaction: OwnTransaction | None = None) -> Running:
        """Return what its ``ctx`` knows of it; ``transaction``: the one that it is part of."""
        return Running(
            kind=self.function.kind,
            using=self.database.using,
            function_id=self.id,
            transaction=transaction,
            scheduled_kind=self.function.kind,
            executor_name=self.executor_name,
            attempt=self.attempt,
            execution=self,
            scheduling_context=self.claimed.context,
            batch_id=self.claimed.batch_id,
            shares_with=self.shares_with,
        )

    @property
    def idempotency_key(self) -> str:
        """Return what stays the same in every attempt, and differs from that of every other function, anywhere."""
        created = self.database.instant(self.claimed.creation_time).isoformat(timespec="microseconds")
        return str(uuid5(IDEMPOTENCY_KEYS, f"{self.id} {created}"))

    @property
    def deadline(self) -> datetime | None:
        """Return when the time of the body is up, by the clock of this host; ``None``: never."""
        return self.budget.deadline if self.budget else None

    def should_end_early(self) -> bool:
        """Answer ``ctx.canceled``, asked as often as one likes: the record is read once a second at most."""
        is_over = self.budget is not None and self.budget.is_over
        if self._was_canceled or is_over or process_is_ending.is_set():
            return True
        if time.monotonic() >= self._asked_at + CANCELED_INTERVAL:
            self._was_canceled = self.is_canceled_on_record()
            self._asked_at = time.monotonic()
        return self._was_canceled
