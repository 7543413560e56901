"""The execution of an action: its body starts at most once.

The invariant: before the body starts, ``in_progress`` and the executor's name are committed, and nobody ever
starts a row that is not ``pending``. So a body may not have started although its row says so (the worker died
in between), but it never starts twice.

When the worker dies the row stays ``in_progress`` until the executor is known to be gone, and is then recorded as
``failed``, ``lost``: see ``recovery.py``. If this executor was only thought to be gone, or the action was
canceled, the end of the body finds the row decided and is dropped.

COMMIT of the claim got no answer: the row is locked, which waits for a server that is still committing, and read.
If it names this executor and this attempt, the claim had taken effect and the body starts now; nobody else can
have started it, because nobody else has this name. As long as the row cannot be read we do not know, and ask again.

Its time is up: that is recorded when the body ends, or by another thread when it does not. Either way the end of the
body after that is dropped: see ``budget.py``.

The end of a body that has run must not get lost: it is recorded again and again until the database takes it.

One event loop runs all async actions of the process, so that what belongs to a loop can be shared. The worker waits for
its action, so the concurrency is that of the workers. Synchronous code that an action calls through ``sync_to_async``,
the ORM's async methods among it, gets a thread of its own per action, as a request has in Django's ASGI handler.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import DatabaseError, InterfaceError, connections, transaction

from django_scheduler import values
from django_scheduler.context import Context
from django_scheduler.databases import django_internals
from django_scheduler.executor import forks
from django_scheduler.executor.budget import Budget
from django_scheduler.executor.execution import FunctionExecution
from django_scheduler.executor.session import tidy_connections
from django_scheduler.executor.threads import start_in_background
from django_scheduler.functions import AnyFunction
from django_scheduler.models import Failure, ScheduledFunction, State
from django_scheduler.record import Transition, describe, transitions
from django_scheduler.scheduling import calls
from django_scheduler.transactions import DoublingWait


class ActionExecution(FunctionExecution):
    """Executes an action: commits that it begins, then runs its body, then records its end."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._async_body = AsyncBody()

    def in_transaction(self) -> None:
        transitions.BEGIN.apply(self.database, self.id, self.attempt_on_record)

    def after_rollback(self, error: BaseException) -> None:
        django_internals.discard(self.database.connection)
        if not self._until_answered(self._was_claimed, "whether it was claimed is not known yet"):
            raise error
        self.after_commit()

    def after_commit(self) -> None:
        try:
            result = self.call()
        except BaseException as error:
            self._fail(self.timed_out or error, Failure.TIMEOUT if self.timed_out else Failure.ERROR)
        else:
            self._end(transitions.END, {"result": None if result is None else values.dump_result(result)})

    @property
    def is_async(self) -> bool:
        return self.function.is_async

    @property
    def blocks_event_loop(self) -> bool:
        # It was told long before it was given up.
        return self.is_given_up and self.is_async and not self._async_body.was_told

    def make_budget(self) -> Budget:
        return Budget(
            self.function.timeout,
            self.log,
            interrupt=self._async_body.cancel if self.function.is_async else lambda: None,
            give_up=lambda: start_in_background(self._give_up),
        )

    def run_body(self, arguments: dict[str, object], context: Context) -> Any:
        if self.function.is_async:
            return self._async_body.run(self.function, arguments, context)
        return super().run_body(arguments, context)

    def is_canceled_on_record(self) -> bool:
        return self.current_row().get("state") != State.IN_PROGRESS

    def _give_up(self) -> None:
        """Record the timeout of a body that does not end, in another thread."""
        if self.budget is None or self.budget.has_ended:
            return
        self.log(logging.ERROR, "its time is up and its body does not end; it keeps its thread until it returns")
        self._fail(self.budget.error, Failure.TIMEOUT)

    def _fail(self, error: BaseException, failure: Failure) -> None:
        self._end(transitions.END_FAILED, {"failure": failure, **describe(error)}, error)

    def _end(self, transition: Transition, changes: dict[str, Any], error: BaseException | None = None) -> None:
        what = f"its end ({transition.target.value})"
        tries = 0

        def record() -> bool:
            nonlocal tries
            tries += 1
            tidy_connections(self.database.using)
            is_recorded = self.record(transition, changes, seen={"executor": self.executor_name})
            # Perhaps an earlier try has taken effect, and only its answer was lost.
            return is_recorded or (tries > 1 and self.has_recorded(transition.target))

        if self._until_answered(record, f"{what} could not be recorded yet"):
            self.announce(transition.target, changes.get("failure"), error)
        else:
            self.log_dropped(what)

    def _was_claimed(self) -> bool:
        rows = ScheduledFunction.objects.using(self.database.using).select_for_update()
        claimed = {"state": State.IN_PROGRESS, "executor": self.executor_name, "attempts": self.attempt}
        with transaction.atomic(using=self.database.using):
            row = rows.filter(pk=self.id).values(*claimed).first()
        return bool(row == claimed)

    def _until_answered(self, ask: Callable[[], bool], problem: str) -> bool:
        """Ask the database until it answers, on a new connection after each failure."""
        waits = DoublingWait(first=0.1, longest=2.0)
        while True:
            try:
                return ask()
            except (DatabaseError, InterfaceError) as error:
                wait = waits.next()
                self.log(logging.WARNING, "%s, trying again in %.1f s: %s", problem, wait, error)
                django_internals.discard(self.database.connection)
            time.sleep(wait)


class AsyncBody:
    """Runs one async body on the event loop of the process, where it can be canceled."""

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None
        self._is_canceled = False
        #: Whether the event loop has come to cancel the body.
        self.was_told = False

    def run(self, function: AnyFunction, arguments: dict[str, object], context: Context) -> Any:
        """Run the body, wait for it, and return or raise what it does."""
        return asyncio.run_coroutine_threadsafe(self._run(function, arguments, context), _event_loop()).result()

    def cancel(self) -> None:
        """Cancel the body, from any thread. Only the first call has an effect: its clean-up is not disturbed again."""
        if not self._is_canceled:
            self._is_canceled = True
            _event_loop().call_soon_threadsafe(self._cancel_task)

    async def _run(self, function: AnyFunction, arguments: dict[str, object], context: Context) -> Any:
        async with ThreadSensitiveContext():
            try:
                # A task of its own: what is canceled is the body, and not what has to be done after it.
                self._task = asyncio.create_task(_run_body(function, arguments, context))
                if self._is_canceled:
                    self._cancel_task()
                return await self._task
            finally:
                await sync_to_async(connections.close_all)()

    def _cancel_task(self) -> None:
        self.was_told = True
        if self._task is not None:
            self._task.cancel()


async def _run_body(function: AnyFunction, arguments: dict[str, object], context: Context) -> Any:
    try:
        return await calls.run_async_body(function, arguments, context)
    finally:
        if forks.is_forked:
            forks.end_process()


_loop_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def _event_loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _loop_lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            thread = threading.Thread(
                target=_run_forever, args=[_loop], name="django_scheduler event loop", daemon=True
            )
            forks.when_forked_in(thread, partial(_stop_in_forked_process, _loop))
            thread.start()
        return _loop


def _run_forever(loop: asyncio.AbstractEventLoop) -> None:
    # SystemExit in a task is passed on by the loop as well, and ends it; so does a body that calls stop(). The
    # others' actions go on.
    while True:
        with suppress(BaseException):
            loop.run_forever()
        if forks.is_forked:
            forks.end_process()


def _stop_in_forked_process(loop: Any) -> None:
    # A body has forked. When it awaits, the process that was forked would go on with all other bodies, too.
    loop.stop()
    if hasattr(loop, "_ready"):
        loop._ready.clear()  # before the loop stops, these would still run
