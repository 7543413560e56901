"""One event loop runs the async bodies of all actions of the process, so that what belongs to a loop can be shared.

Nothing of one body reaches another one, nor stays when it has ended:

* A task belongs to the body in whose context it was made. Those that have not ended with the body are canceled then,
  and waited for, as ``asyncio.run`` does; so are its async generators closed. Tasks of others go on.
* Synchronous code that it calls through ``sync_to_async``, the ORM's async methods among it, gets a thread of its own
  per action, as a request has in Django's ASGI handler. The thread and its connections end with the body.
* ``asyncio.to_thread``, ``run_in_executor(None, ...)`` and ``sync_to_async(thread_sensitive=False)`` use threads that
  all actions share. A call has isolation in them, and new connections, which are closed after it.
* What a body sets on the loop or in its thread is put back when it has ended.

What does not end is waited for ``CLEAN_UP_TIMEOUT`` seconds; then the action ends without it. The time budget of the
body includes that.
"""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar, copy_context
from types import CoroutineType
from typing import Any, TypeVar
from weakref import WeakSet

from asgiref.sync import ThreadSensitiveContext, _restore_context, sync_to_async

from django_scheduler.context import Context
from django_scheduler.executor import forks
from django_scheduler.executor.body import in_isolation, own_this_thread
from django_scheduler.executor.rate_slots import RateSlot
from django_scheduler.executor.session import close_connections
from django_scheduler.functions import AnyFunction
from django_scheduler.scheduling import calls, middleware_chain

R = TypeVar("R")

#: For how long what a body has left is waited for, in seconds.
CLEAN_UP_TIMEOUT = 5.0

#: Of so many tasks a log record has the names.
MOST_NAMES = 10


class AsyncBody:
    """Runs one async body on the event loop of the process, where it can be canceled.

    ``log``: logs a message about the function, as ``SingleExecution.log`` does.
    """

    def __init__(self, log: Callable[..., None]) -> None:
        self._log = log
        self._task: asyncio.Task[Any] | None = None
        self._is_canceled = False
        #: Whether the event loop was free to cancel the body, once that was asked for.
        self.cancel_was_delivered = False
        #: What was made in its context and has not been forgotten since.
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self.generators: WeakSet[AsyncGenerator[Any, Any]] = WeakSet()
        #: Whether the body has ended, and what it had left too.
        self.is_over = False

    def run(
        self, function: AnyFunction, arguments: dict[str, object], context: Context, rate_slot: RateSlot | None = None
    ) -> Any:
        """Run the body, wait for it and for what it leaves, and return or raise what it does.

        ``rate_slot``: the slot of its rate limit.
        """
        outcome: Future[Any] = Future()
        body = _run_body(function, arguments, context, rate_slot)
        asyncio.run_coroutine_threadsafe(self._run(body, outcome), _event_loop().loop)
        try:
            return outcome.result()
        finally:
            del outcome  # the frames of its error refer to this one, and may hold cursors

    def cancel(self) -> None:
        """Cancel the body, from any thread. Only the first call has an effect: its clean-up is not disturbed again."""
        if not self._is_canceled:
            self._is_canceled = True
            _event_loop().loop.call_soon_threadsafe(self._cancel_task)

    def _cancel_task(self) -> None:
        self.cancel_was_delivered = True
        if self._task is not None:
            self._task.cancel()

    async def _run(self, body: Coroutine[Any, Any, Any], outcome: "Future[Any]") -> None:
        event_loop = _event_loop()
        event_loop.body_begins()
        try:
            async with ThreadSensitiveContext():
                _body.set(self)
                # A task of its own: what is canceled is the body, and not what has to be done after it.
                self._task = asyncio.create_task(body)
                if self._is_canceled:
                    self._cancel_task()
                await asyncio.wait([self._task])
                timer = asyncio.get_running_loop().call_later(CLEAN_UP_TIMEOUT, self._end_without_it, outcome)
                try:
                    await self._end_what_is_left()
                    await sync_to_async(close_connections)()
                finally:
                    timer.cancel()
        finally:
            event_loop.body_ends()
            self._deliver(outcome)

    async def _end_what_is_left(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CLEAN_UP_TIMEOUT
        # Again and again: what is canceled may begin other tasks to clean up.
        while (left := self._unfinished()) and loop.time() < deadline:
            canceled = [task for task in left if not task.cancelling() and not _closes_generator(task)]
            for task in canceled:
                task.cancel()
            if canceled:
                message = "its body has ended, so what it has begun and not awaited is canceled: %s"
                self._log(logging.WARNING, message, _names(canceled))
            await asyncio.wait(left, timeout=deadline - loop.time())
        await asyncio.gather(*(generator.aclose() for generator in self.generators), return_exceptions=True)
        self.is_over = True

    def _unfinished(self) -> list[asyncio.Task[Any]]:
        return [task for task in self.tasks if not task.done()]

    def _end_without_it(self, outcome: "Future[Any]") -> None:
        message = (
            "its body has ended, but what it has begun does not end within %g s: %s. The action ends without it. It"
            " keeps its thread and its connection until it ends by itself"
        )
        left = _names(self._unfinished()) or "synchronous code in its thread"
        self._log(logging.ERROR, message, CLEAN_UP_TIMEOUT, left)
        self._deliver(outcome)

    def _deliver(self, outcome: "Future[Any]") -> None:
        task, self._task = self._task, None
        if outcome.done():
            return
        if task is None or not task.done():
            outcome.set_exception(asyncio.CancelledError("all tasks of the event loop were canceled"))
        elif task.cancelled():
            outcome.set_exception(asyncio.CancelledError())
        elif (error := task.exception()) is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(task.result())


async def _run_body(
    function: AnyFunction, arguments: dict[str, object], context: Context, rate_slot: RateSlot | None
) -> Any:
    # The task has a copy of the worker's context, in which middleware has set variables. Those of asgiref, as the
    # language and the time zone are, belong to a thread: only asgiref itself can have them belong to this one.
    if middleware_chain.chain and middleware_chain.chain.outermost:
        _restore_context(copy_context())
    if rate_slot is not None:
        await rate_slot.renew_if_late_on_event_loop()
    process_id = os.getpid()
    try:
        return await calls.run_async_body(function, arguments, context)
    finally:
        # Not if what the site has forked only forgets a body of its parent's.
        if os.getpid() != process_id and not isinstance(sys.exception(), GeneratorExit):
            forks.end_process()


#: The body that the current code is part of.
_body: ContextVar[AsyncBody | None] = ContextVar("django_scheduler.async_body", default=None)


def _make_task(loop: asyncio.AbstractEventLoop, code: Any, **options: Any) -> "asyncio.Task[Any]":
    """Make a task, as loops do, that is known to the body that it belongs to."""
    task: asyncio.Task[Any] = asyncio.Task(code, loop=loop, **options)
    context = options.get("context")
    body = _body.get() if context is None else context.get(_body)
    if body is not None:
        body.tasks.add(task)
        if body.is_over:
            task.cancel()  # made by a callback or a thread that was late
    return task


def _note_generators() -> None:
    """Have each async generator that is begun in this thread from now on be known to its body, as it is to the loop."""
    note_in_loop = sys.get_asyncgen_hooks().firstiter

    def note(generator: AsyncGenerator[Any, Any]) -> None:
        if (body := _body.get()) is not None:
            body.generators.add(generator)
        if note_in_loop is not None:
            note_in_loop(generator)

    sys.set_asyncgen_hooks(firstiter=note)


def _closes_generator(task: "asyncio.Task[Any]") -> bool:
    """Return whether asyncio has begun the task, to close an async generator that was forgotten half-way."""
    return type(task.get_coro()).__name__ == "async_generator_athrow"


def _names(tasks: "list[asyncio.Task[Any]]") -> str:
    """Return the names of tasks, and of the functions that they run."""
    names = []
    for task in tasks[:MOST_NAMES]:
        code = task.get_coro()
        runs = code.__qualname__ if isinstance(code, CoroutineType) else type(code).__qualname__
        names.append(f"{task.get_name()} ({runs})")
    more = [f"{len(tasks) - MOST_NAMES} more"] if len(tasks) > MOST_NAMES else []
    return ", ".join(names + more)


class _SharedThreads(ThreadPoolExecutor):
    """Runs each call in isolation, and closes the connections that it has made."""

    def submit(self, call: Callable[..., R], /, *args: Any, **kwargs: Any) -> "Future[R]":
        def call_and_close_connections() -> R:
            try:
                return call(*args, **kwargs)
            finally:
                close_connections()

        return super().submit(in_isolation, call_and_close_connections)


class _EventLoop:
    """Runs an event loop in a thread of its own."""

    def __init__(self) -> None:
        self.process_id = os.getpid()
        self.loop = asyncio.new_event_loop()
        self._is_debugged = self.loop.get_debug()
        self._threads = _SharedThreads(thread_name_prefix="asyncio", initializer=own_this_thread)
        self._set_up()
        self._bodies = 0
        thread = threading.Thread(target=self._run, name="django_scheduler event loop", daemon=True)
        forks.when_forked_in(thread, self._stop_in_forked_process)
        thread.start()

    def _run(self) -> None:
        # SystemExit in a task is passed on by the loop as well, and ends it; so does a body that calls stop(). The
        # others' actions go on.
        while True:
            with suppress(BaseException):
                self.loop.call_soon(_note_generators)  # within: the loop sets hooks of its own when it begins to run
                self.loop.run_forever()
            if os.getpid() != self.process_id:
                forks.end_process()

    def _stop_in_forked_process(self) -> None:
        # A body has forked. When it awaits, the process that was forked would go on with all other bodies, too.
        loop: Any = self.loop
        loop.stop()
        if hasattr(loop, "_ready"):
            loop._ready.clear()  # before the loop stops, these would still run

    def body_begins(self) -> None:
        """Note, in the thread of the loop, that a body begins there."""
        if self._bodies == 0:
            self._trace, self._profile = sys.gettrace(), sys.getprofile()
        self._bodies += 1

    def body_ends(self) -> None:
        """Put back, in the thread of the loop, what a body may have set there."""
        self._bodies -= 1
        self._set_up()
        sys.settrace(self._trace)
        sys.setprofile(self._profile)

    def _set_up(self) -> None:
        self.loop.set_task_factory(_make_task)
        self.loop.set_default_executor(self._threads)
        self.loop.set_exception_handler(None)
        self.loop.set_debug(self._is_debugged)


_lock = threading.Lock()
_loop: _EventLoop | None = None


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()  # another thread may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def _event_loop() -> _EventLoop:
    global _loop
    with _lock:
        # Its thread is not copied by a fork, and a process that was forked may execute functions by itself.
        if _loop is None or _loop.process_id != os.getpid():
            _loop = _EventLoop()
        return _loop
