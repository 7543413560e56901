"""The threads of an executor beside its workers. Each has connections of its own, which it closes at its end.

* A background call does something once. The caller's connection stays as it is, whatever happens, and the caller
  decides for how long to wait.
* A side task is repeated. Whatever happens in it is logged, and it is tried again after a wait that doubles. It never
  stops the work, nor another side task. It runs at least once, however soon the executor stops.
* One event loop runs all async actions of the process, so that what belongs to a loop can be shared. The worker waits
  for its action, so the concurrency is that of the workers. Synchronous code that an action calls through
  ``sync_to_async``, the ORM's async methods among it, gets a thread of its own per action, as a request has in
  Django's ASGI handler.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connections

from django_scheduler.context import Context
from django_scheduler.functions import AnyFunction
from django_scheduler.scheduling import calls
from django_scheduler.telemetry import log_of_executors as log
from django_scheduler.transactions import DoublingWait


def start_in_background(task: Callable[[], None]) -> Future[None]:
    """Start a task in a thread of its own, and return a future that ends as the task does."""
    outcome: Future[None] = Future()

    def run() -> None:
        try:
            try:
                task()
            finally:
                connections.close_all()
        except BaseException as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    threading.Thread(target=run, name="django_scheduler background call", daemon=True).start()
    return outcome


def run_in_background(task: Callable[[], None], *, timeout: float) -> None:
    """Run a task in a thread of its own, and wait for its end, for ``timeout`` seconds at most.

    Raises what the task raises, and ``TimeoutError`` when it takes longer; then it goes on.
    """
    start_in_background(task).result(timeout)


def side_task(name: str, task: Callable[[], None], *, interval: float, stopping: threading.Event) -> threading.Thread:
    """Return a thread that runs ``task`` every ``interval`` seconds until ``stopping`` is set, at least once."""

    def run() -> None:
        waits_after_failure = DoublingWait(first=0.5, longest=5.0)
        while True:
            try:
                try:
                    task()
                finally:
                    connections.close_all()
                wait = interval
                waits_after_failure.reset()
            except BaseException as error:
                wait = waits_after_failure.next()
                log(
                    logging.WARNING,
                    "The side task %r of an executor failed. It is repeated in %.1f s, and functions are executed all"
                    " the same: %s",
                    name,
                    wait,
                    error,
                    error=error,
                )
            if stopping.wait(wait):
                return

    return threading.Thread(target=run, name=f"django_scheduler {name}", daemon=True)


class AsyncBody:
    """Runs one async body on the event loop of the process, where it can be canceled."""

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None
        self._is_canceled = False

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
                self._task = asyncio.create_task(calls.run_async_body(function, arguments, context))
                if self._is_canceled:
                    self._cancel_task()
                return await self._task
            finally:
                await sync_to_async(connections.close_all)()

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()


_making = threading.Lock()
_made: asyncio.AbstractEventLoop | None = None


def _event_loop() -> asyncio.AbstractEventLoop:
    global _made
    with _making:
        if _made is None:
            _made = asyncio.new_event_loop()
            threading.Thread(target=_run_forever, args=[_made], name="django_scheduler event loop", daemon=True).start()
        return _made


def _run_forever(loop: asyncio.AbstractEventLoop) -> None:
    # SystemExit in a task is passed on by the loop as well, and ends it; so does a body that calls stop(). The
    # others' actions go on.
    while True:
        with suppress(BaseException):
            loop.run_forever()
