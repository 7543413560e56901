"""An execution does what has to be done with what a worker has claimed, at three moments.

``in_transaction`` is called while the rows are locked, and then ``after_commit`` or ``after_rollback``. What happens
there depends on what was claimed: ``mutation.py``, ``action.py`` and ``grouping.py`` say it for functions that exist,
whose bodies ``FunctionExecution`` calls within their time budget and with a ``ctx`` of their own; ``unexecutable.py``
says it for what this process cannot execute.

Each worker notes which body it is in, where the note outlives a crash. A body can end its process (a segfault,
``os._exit``, the kernel when memory is out), and then no thread is left to say which one it was. So a worker writes the
id of a function before its body begins and erases it after it, in memory that it may share with a supervisor: eight
bytes, no statement and no system call. The ids that are left when a process has ended are those of the bodies that were
running. The other functions of the same transaction are not among them, nor is one that has committed and whose
``on_commit`` hooks run: that one never runs again.

Nothing of what one body leaves in Python's state of its thread reaches the next one.

* What belongs to a context is new for each call: variables of ``contextvars``, and with them decimal's context, and
  the language, time zone, urlconf and script prefix of Django.
* What belongs to the thread is as before after each call: its trace and profile functions, and its event loops, the one
  that runs and the one that is set. (Code of others may have set one in a thread of theirs, which cannot be asked
  without making one. So that one is left alone in threads that are not ours.)
* What belongs to the process, and a ``threading.local`` of the body's own, stays: see ``docs/guarantees.md``.
"""

import logging
import threading
import time
from abc import ABC, abstractmethod
from asyncio import _get_running_loop, _set_running_loop, set_event_loop
from collections.abc import Callable, Collection, Iterator, MutableSequence, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import Context as ContextOfVariables
from datetime import datetime, timedelta
from sys import getprofile, gettrace, setprofile, settrace
from typing import Any, TypeVar

from django.db import DatabaseError, InterfaceError

from django_scheduler import signals, values
from django_scheduler.conf import get_settings
from django_scheduler.context import Context
from django_scheduler.databases import Claimable, Database, django_internals
from django_scheduler.errors import InvalidArguments, TimedOut
from django_scheduler.executor import forks
from django_scheduler.executor.answer_timeout import awaiting_answer, awaiting_nothing
from django_scheduler.executor.budget import Budget
from django_scheduler.executor.session import (
    has_open_transaction,
    replace_session,
    tidy_connections,
)
from django_scheduler.functions import AnyFunction
from django_scheduler.masking import mask_with_arguments
from django_scheduler.models import Failure, Kind, ScheduledFunction, ScheduledFunctionId, State
from django_scheduler.record import End, Transition, announce, forget_traceback, in_ascii, in_plain_words
from django_scheduler.scheduling import Running, calls
from django_scheduler.telemetry import log_of_executors as log
from django_scheduler.telemetry import tracing
from django_scheduler.transactions import DoublingWait, OwnTransaction

#: Set when this process is about to end, whatever is executing.
process_is_ending = threading.Event()

#: How often ``ctx.canceled`` reads the record at most, in seconds.
INTERVAL = 1.0

#: How often the record of an end is tried again at once because somebody else was changing the row.
MOST_CONFLICTS = 10


class RunningBodies:
    """Knows which bodies run. ``ids`` has an entry for each worker: the function whose body it is in, or else 0."""

    def __init__(self, ids: MutableSequence[int]) -> None:
        self._ids = ids
        self._names = [""] * len(ids)
        self._ended = [0] * len(ids)

    @property
    def ended(self) -> int:
        """Return how many bodies have ended, well or not."""
        return sum(self._ended)

    @property
    def functions(self) -> list[dict[str, int | str]]:
        """Return the ids and names of the functions whose bodies run now."""
        return [
            {"id": function_id, "name": name}
            for function_id, name in zip(self._ids, self._names, strict=True)
            if function_id
        ]

    @contextmanager
    def of_this_thread(self, number: int) -> Iterator[None]:
        """Note in entry ``number`` what this thread runs within the block."""
        _this_thread.entry = (self, number)
        try:
            yield
        finally:
            _this_thread.entry = None

    def enter(self, number: int, function_id: int, name: str) -> None:
        self._names[number] = name
        self._ids[number] = function_id

    def leave(self, number: int) -> None:
        self._ids[number] = 0
        self._ended[number] += 1


class _ThisThread(threading.local):
    #: Where it notes which body it is in; ``None``: it is no executor's worker.
    entry: tuple[RunningBodies, int] | None = None
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


class Execution(ABC):
    """Does what has to be done with rows that a worker has locked, in that transaction and after it."""

    #: Lets another worker take the claim lock before this execution ends; the worker sets it.
    release_claim_lock: Callable[[], None] = staticmethod(lambda: None)

    #: For how long its worker keeps the claim lock once it has begun, in seconds, if it does not release it before.
    keeps_claim_lock_for = 0.0

    @property
    def is_given_up(self) -> bool:
        """Return whether a body has not ended although its time was up, and is no longer waited for."""
        return False

    @property
    def is_async(self) -> bool:
        """Return whether it needs the event loop of this process."""
        return False

    @property
    def blocks_event_loop(self) -> bool:
        """Return whether its body, which is given up, keeps the event loop from running any other."""
        return False

    @property
    @abstractmethod
    def ids(self) -> Collection[ScheduledFunctionId]:
        """Return the functions that it executes."""

    @property
    @abstractmethod
    def begun(self) -> "Sequence[SingleExecution]":
        """Return the executions of those functions that have begun."""

    @abstractmethod
    def in_transaction(self) -> None:
        """Do what is done while the row is locked. An exception rolls the transaction back."""

    @abstractmethod
    def after_commit(self) -> None:
        """Do what is done once that transaction has committed."""

    @abstractmethod
    def after_rollback(self, error: BaseException) -> None:
        """Do what is done once ``error`` has ended it: it is rolled back, unless its COMMIT got no answer."""


class SingleExecution(Execution):
    """Executes one function."""

    #: The function's kind, or ``None`` if there is no such function.
    kind: Kind | None = None

    #: What is to end this process, as the handler of a signal raises it, if it has come outside of the body.
    stop_request: BaseException | None = None

    #: Whether the function was left to executors with other code.
    is_left = False

    #: Whether a try to record the end has failed, so that it is not known whether it has taken effect.
    _may_be_recorded = False

    def __init__(self, claimed: Claimable, database: Database, executor_name: str) -> None:
        self.claimed = claimed
        self.database = database
        self.executor_name = executor_name
        self.id = claimed.id
        self.name = claimed.name
        #: Which attempt this is, counted from 1.
        self.attempt = claimed.attempts + 1
        self._claimed_at = self.began = time.perf_counter()
        self._took: float | None = None

    def begin(self, now: float) -> None:
        """Note that its body begins only now, by ``time.perf_counter()``, because other bodies have run before."""
        self.began = now

    def end(self) -> float:
        """Note that its body has ended, because other bodies follow, and return the time."""
        now = time.perf_counter()
        self._took = now - self.began
        return now

    @property
    def lag(self) -> float:
        """Return how long it had been due when its body began, in seconds."""
        return self.claimed.lag + self.began - self._claimed_at

    @property
    def duration(self) -> float:
        """Return how long the attempt has taken, in seconds."""
        return self._took if self._took is not None else time.perf_counter() - self.began

    @property
    def ids(self) -> Collection[ScheduledFunctionId]:
        return [self.id]

    @property
    def begun(self) -> "Sequence[SingleExecution]":
        return [self]

    @property
    def may_be_left(self) -> bool:
        """Return whether executors with other code still have time to execute it, if this one cannot."""
        since = self.claimed.unknown_since
        waited = self.database.elapsed(since, self.claimed.claim_time) if since else timedelta(0)
        return waited < get_settings().UNKNOWN_FUNCTION_GRACE

    @property
    def attempt_on_record(self) -> dict[str, Any]:
        """Return the columns that say which attempt it was, when it began and whose it was."""
        return {
            "started_time": self.claimed.claim_time,
            "attempts": self.attempt,
            "executor": self.executor_name,
        }

    def record(
        self,
        transition: Transition,
        changes: dict[str, Any],
        *,
        seen: dict[str, Any],
        unless_held: bool = False,
    ) -> bool:
        """Record the end of the attempt, outside of a transaction, and return whether nobody else has decided since.

        What this session cannot record is recorded on a new one, whatever the body has made of this one; and what the
        database refuses there too, in plain words. Raises the last error.
        """
        tries = [changes, changes, in_ascii(changes), in_plain_words(changes)]
        number = conflicts = 0
        while True:
            try:
                with awaiting_answer():
                    is_recorded = transition.apply(
                        self.database, self.id, tries[number], seen=seen, unless_held=unless_held
                    )
                # Perhaps an earlier try has taken effect, and only its answer was lost.
                return is_recorded or (self._may_be_recorded and self._is_on_record(transition, {**seen, **changes}))
            except BaseException as error:
                self.note_stop_request(error)
                if self.database.is_conflict(error) and conflicts < MOST_CONFLICTS:
                    conflicts += 1  # somebody else has changed the row meanwhile: look again
                    continue
                self._may_be_recorded = True
                if number == len(tries) - 1 or (number > 0 and self.database.is_transient(error)):
                    raise
                number += 1
                self.log(
                    logging.WARNING, "its end could not be recorded, and is tried again on a new session: %s", error
                )
                replace_session(self.database.using)

    def note_stop_request(self, error: BaseException) -> None:
        """Remember that a signal has come, if this is how its handler has said so."""
        if not isinstance(error, Exception):
            self.stop_request = error

    def _is_on_record(self, transition: Transition, columns: dict[str, Any]) -> bool:
        row = self.current_row()
        is_ours = all(row[each] == columns[each] for each in row.keys() & columns.keys())
        return is_ours and row.get("state") == transition.target

    @awaiting_answer()
    def current_row(self) -> dict[str, Any]:
        """Return what the record says now, or an empty dict if it is gone."""
        rows = ScheduledFunction.objects.using(self.database.using).filter(pk=self.id)
        row = rows.values("state", "executor", "attempts").first()
        return dict(row) if row else {}

    def has_recorded(self, state: State) -> bool:
        """Return whether the record says this state now, and that it is of this executor."""
        row = self.current_row()
        return row.get("state") == state and row.get("executor") == self.executor_name

    def until_answered(
        self,
        ask: Callable[[], bool],
        problem: str,
        *,
        gives_up_on: Callable[[BaseException], bool] = lambda error: False,
        longest: float = 2.0,
    ) -> bool:
        """Ask the database until it answers, on a new connection after each failure.

        It waits for ``longest`` seconds at most in between. Raises an error that it ``gives_up_on``, and all that are
        not the database's.
        """
        waits = DoublingWait(first=0.1, longest=longest)
        while True:
            try:
                with awaiting_answer():
                    return ask()
            except (DatabaseError, InterfaceError) as error:
                if gives_up_on(error):
                    raise
                wait = waits.next()
                self.log(logging.WARNING, "%s, trying again in %.1f s: %s", problem, wait, error)
                django_internals.discard(self.database.connection)
            with awaiting_nothing():
                time.sleep(wait)

    def announce(
        self, state: State, failure: Failure | None = None, error: BaseException | None = None, *, detail: str = ""
    ) -> None:
        """Announce how the function has ended, which is on record; ``detail``: what the log says of the failure."""
        announce(self.as_ended(state, failure), error=error, detail=detail, mask=self.mask)

    def as_ended(self, state: State, failure: Failure | None = None) -> End:
        """Return what is told of how the function has ended."""
        return End(  # in the order of its fields: 0.3 µs, by their names 0.7, and of a dictionary 1.1
            self.id,
            self.name,
            self.kind.value if self.kind else "",
            self.claimed.queue,
            self.attempt,
            self.executor_name,
            self.database.using,
            state.value,
            failure.value if failure else "",
            self.lag,
            self.duration,
        )

    def mask(self, text: str) -> str:
        """Hide in the text of an error what is secret among the arguments, and what looks like it."""
        return mask_with_arguments(self.name, text, self.claimed.args)

    def forget(self, error: BaseException) -> None:
        """Keep nothing of where an error of the project's was raised, now that it is on record or in the log."""
        forget_traceback(error)

    def _as_told(self) -> dict[str, Any]:
        """Return what receivers of ``function_started`` are told."""
        return {
            "function_id": self.id,
            "name": self.name,
            "kind": self.kind.value if self.kind else "",
            "queue": self.claimed.queue,
            "attempt": self.attempt,
            "lag": self.lag,
            "executor": self.executor_name,
            "using": self.database.using,
        }

    def log_dropped(self, what: str) -> None:
        """Log that an outcome is not recorded: a cancel, another executor or the end of the time decided before."""
        rows = ScheduledFunction.objects.using(self.database.using).filter(pk=self.id)
        with awaiting_answer():
            state, failure = rows.values_list("state", "failure").first() or ("deleted", "")
        message = "%s is dropped, because the function was decided meanwhile; it is now %s"
        self.log(logging.WARNING, message, what, f"{state} ({failure})" if failure else state)

    def log(
        self, level: int, message: str, *arguments: object, error: BaseException | None = None, **extra: Any
    ) -> None:
        """Log a message about the function, which its name and id begin."""
        log(
            level,
            f"%s %s: {message}",
            self.name,
            self.id,
            *arguments,
            error=error,
            mask=self.mask,
            function=self.name,
            function_id=self.id,
            queue=self.claimed.queue,
            attempt=self.attempt,
            executor=self.executor_name,
            lag=self.lag,
            duration=self.duration,
            **extra,
        )


class FunctionExecution(SingleExecution):
    """Executes a function that exists."""

    def __init__(self, claimed: Claimable, database: Database, executor_name: str, function: AnyFunction) -> None:
        super().__init__(claimed, database, executor_name)
        self.function = function
        self.kind = function.kind
        #: Of the call of its body that has begun last.
        self.budget: Budget | None = None
        #: Why this code cannot call the body with the arguments on record.
        self.refusal: InvalidArguments | None = None
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

    def call(self) -> str | None:
        """Call the body with its arguments, note meanwhile that it runs, and return its result as it is recorded.

        It runs within its time budget, and in isolation from what earlier ones have left. Raises what it raises,
        ``TimedOut``, and what ``load_arguments`` raises.
        """
        return in_isolation(self._call)

    def _call(self) -> str | None:
        entry = _this_thread.entry
        if entry is None:
            return self._call_in_time()
        running_bodies, number = entry
        running_bodies.enter(number, self.id, self.name)
        try:
            return self._call_in_time()
        finally:
            running_bodies.leave(number)

    def _call_in_time(self) -> str | None:
        with awaiting_nothing():
            arguments = self.load_arguments()
            if signals.function_started.receivers:
                self.send_started()
            if tracing.tracer is None:
                return self._call_within_budget(arguments)
            with self._traced():
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

    def load_arguments(self) -> dict[str, object]:
        """Return the arguments for the body.

        Raises ``InvalidArguments`` if the code has changed since, so that they cannot be restored or do not fit.
        """
        try:
            return self.function.bind((), values.load_arguments(self.name, self.claimed.args))
        except InvalidArguments as error:
            self.refusal = error
            raise

    def _traced(self) -> AbstractContextManager[object]:
        return tracing.executing(self.claimed.trace_context, self._as_told())

    def send_started(self) -> None:
        """Send ``function_started``, and leave to the body nothing of what receivers do to the connections."""
        signals.send(signals.function_started, **self._as_told())
        tidy_connections(self.database.using)

    def _run_body(self, arguments: dict[str, object]) -> str | None:
        try:
            result = self.run_body(arguments)
            return None if result is None else values.dump_result(result)  # which may call code of the result
        finally:
            if forks.is_forked:
                forks.end_process()
            if django_internals.has_cursors(self.database.connection):
                with awaiting_answer():
                    django_internals.close_cursors(self.database.connection)

    def run_body(self, arguments: dict[str, object]) -> Any:
        return calls.run_body(self.function, arguments, self._context())

    def _context(self, transaction: OwnTransaction | None = None) -> Context:
        """Return the ``ctx`` that the function is given; ``transaction``: the one that it is part of."""
        return Context(
            Running(
                kind=self.function.kind,
                using=self.database.using,
                function_id=self.id,
                transaction=transaction,
                scheduled_kind=self.function.kind,
                executor_name=self.executor_name,
                attempt=self.attempt,
                limits=self,
                scheduling_context=self.claimed.context,
            )
        )

    @property
    def deadline(self) -> datetime | None:
        """Return when the time of the body is up, by the clock of this host; ``None``: never."""
        return self.budget.deadline if self.budget else None

    def should_end_early(self) -> bool:
        """Answer ``ctx.canceled``, asked as often as one likes: the record is read once a second at most."""
        is_over = self.budget is not None and self.budget.is_over
        if self._was_canceled or is_over or process_is_ending.is_set():
            return True
        if time.monotonic() >= self._asked_at + INTERVAL:
            self._was_canceled = self.is_canceled_on_record()
            self._asked_at = time.monotonic()
        return self._was_canceled
