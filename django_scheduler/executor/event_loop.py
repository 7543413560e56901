"""Async actions: all of a process run on one event loop, so that what belongs to a loop can be shared.

The worker waits for its action, so the concurrency is that of the workers. Synchronous code that an action calls
through ``sync_to_async``, the ORM's async methods among it, gets a thread of its own per action, as a request has
in Django's ASGI handler: its connections are its own, and are closed when the action ends.
"""

import asyncio
import threading
from contextlib import suppress
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connections

from django_scheduler.calls import run_async_body
from django_scheduler.context import Context
from django_scheduler.functions import AnyFunction


class AsyncBody:
    """An async body on the process's loop, on which it can be canceled."""

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None
        self._is_canceled = False

    def run(self, function: AnyFunction, arguments: dict[str, object], context: Context) -> Any:
        """Run it, and wait for what it returns or raises."""
        return asyncio.run_coroutine_threadsafe(self._run(function, arguments, context), _event_loop()).result()

    def cancel(self) -> None:
        """Cancel it, from any thread and once: what it does about that is not disturbed again."""
        if not self._is_canceled:
            self._is_canceled = True
            _event_loop().call_soon_threadsafe(self._cancel_task)

    async def _run(self, function: AnyFunction, arguments: dict[str, object], context: Context) -> Any:
        async with ThreadSensitiveContext():
            try:
                # A task of its own: what is canceled is the body, and not what has to be done after it.
                self._task = asyncio.create_task(run_async_body(function, arguments, context))
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
