"""A time budget says how long a body may run; when it runs for longer, it is stopped.

The invariant: once the time is up, the outcome is ``timeout``, whatever the body makes of it; and nothing that enforces
it reaches anything but the body.

* ``is_exceeded`` is set under the budget's lock, by the watchdog while the body runs or by ``_leave`` right after it,
  and never unset. ``call`` raises ``TimedOut`` at its end if it is set, also if the body has caught everything and
  returned.
* How a body is stopped depends on what it is. A mutation: see below. An async action is canceled. A synchronous action
  cannot be stopped safely, because it may be doing anything: it asks ``ctx.canceled``.
* An exception that is raised in a thread from outside arrives at the thread's next instruction, or, while the thread is
  in C code, only when that returns, which may take an hour. So that it never arrives in our own code, ``_leave`` first
  forbids, under the lock, that another one is raised, and then takes back one that has not arrived. Should it arrive in
  ``_leave``, that begins again.
* A body that has not ended ``GRACE`` after its time was up is given up: another thread records its outcome and, for a
  mutation, ends its session first, as if the executor had died. When the body returns at last, it finds the function
  decided, and its outcome is dropped as that of any other executor would be.

The thread of a mutation whose time is up gets an exception, and its connection is told to stop the statement that it is
executing: whichever of them it is in, Python or the database, it ends. The transaction is rolled back, and the
connection is closed, because a command to stop that arrives late must not meet the next function. A body that waits
in C code, as ``time.sleep`` does, cannot be stopped. So its session is ended, and with it the locks that it holds go,
first of all that of its own row. It can write nothing more then, because its transaction is gone and Django opens no
other one inside of ``atomic``.

The watchdog is one thread of the process that calls each budget when its time has come, and likewise each
``AnswerTimeout`` (``answer_timeout.py``). It costs next to nothing while everything is in time, which is nearly always.
To begin to be watched and to cease is an entry in a set. The thread is woken only for an alarm that is earlier than all
it knew of. Otherwise it wakes when the earliest of those has come, mostly to find that its body has long ended: at a
steady load that is once per time budget, however many functions run.
"""

import ctypes
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime, timedelta
from functools import cache, cached_property
from threading import Lock
from typing import ParamSpec, Protocol, TypeVar

from django.utils import timezone

from django_scheduler.databases import Database
from django_scheduler.errors import TimedOut
from django_scheduler.executor.threads import start_in_background

P = ParamSpec("P")
T = TypeVar("T")

#: Logs a message about the function, as ``SingleExecution.log`` does.
Log = Callable[..., None]

#: How long a body may take to end once its time is up, in seconds.
GRACE = 5.0

#: How often it is interrupted until it ends, in seconds: what it was interrupted in may have caught that.
REPEAT = 0.5


class Budget:
    """Limits the time of one call of one body, which this thread is about to make; each attempt has a new one."""

    def __init__(self, timeout: timedelta | None, log: Log) -> None:
        self.timeout = timeout
        self.log = log
        self.is_exceeded = False
        self.is_given_up = False
        self.has_ended = False
        self._thread_id = threading.get_ident()
        self._lock = Lock()
        self._ends_at = float("inf") if timeout is None else time.monotonic() + timeout.total_seconds()
        #: When the watchdog calls ``alarm`` next, by ``time.monotonic()``.
        self.alarm_time = self._ends_at

    @cached_property
    def deadline(self) -> datetime | None:
        """Return when the time is up, by the clock of this host; ``None``: never."""
        left = None if self.timeout is None else timedelta(seconds=self._ends_at - time.monotonic())
        return None if left is None else timezone.now() + left

    def call(self, body: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the body, and return what it returns.

        Raises what it raises, and ``TimedOut`` if it took too long.
        """
        if self.timeout is None:
            return body(*args, **kwargs)
        process_watchdog = watchdog()
        try:
            process_watchdog.watch(self)
            return body(*args, **kwargs)
        finally:
            while not self.has_ended:
                try:
                    self._leave()
                except TimedOut:  # it arrived only now
                    continue
            process_watchdog.forget(self)
            if self.is_exceeded:
                raise self.error

    @property
    def is_over(self) -> bool:
        """Return whether the time is up, even if the watchdog has not noticed it yet."""
        return time.monotonic() >= self._ends_at

    @cached_property
    def error(self) -> TimedOut:
        """Return the error that is recorded once the time is up."""
        assert self.timeout is not None
        return TimedOut(f"its body ran for longer than the {self.timeout.total_seconds():g} s that it may.")

    def note_where_it_is(self, what: str) -> None:
        """Have the error say that the body goes on, and where."""
        if frame := sys._current_frames().get(self._thread_id):
            stack = "".join(traceback.format_stack(frame))
            self.error.add_note(f"{what} Its thread stays where it is until it returns by itself:\n{stack}")

    def alarm(self) -> None:
        """Enforce the budget now that its time has come. Called in the watchdog's thread."""
        with self._lock:
            if self.has_ended:
                self.alarm_time = float("inf")
                return
            self.is_exceeded = True
            self._interrupt()
        self.alarm_time = time.monotonic() + REPEAT
        if not self.is_given_up and time.monotonic() >= self._ends_at + GRACE:
            self.is_given_up = True
            self._give_up()

    def forget_execution(self) -> None:
        """Refer no longer to the execution, whose body has ended in time: each would keep the other as garbage."""
        del self.log

    def _interrupt(self) -> None:
        """Have the body end. Called in the watchdog's thread, again and again once the time is up."""

    def _give_up(self) -> None:
        """Wait for the body no longer. Called in the watchdog's thread, which it must not keep, after the grace."""

    def _leave(self) -> None:
        with self._lock:
            self.has_ended = True
            self.is_exceeded |= self.is_over  # the watchdog may be about to notice
            if self.is_exceeded:
                self._take_back()

    def _take_back(self) -> None:
        """Take back an interruption that has not arrived yet."""


class MutationBudget(Budget):
    """Limits the time of the mutation that this thread is about to run on its connection to the database.

    ``record``: records the timeout of a body that does not end, on a connection of its own.
    """

    def __init__(
        self, timeout: timedelta | None, log: Log, database: Database, record: Callable[[TimedOut], None]
    ) -> None:
        super().__init__(timeout, log)
        self._database = database
        self._record = record
        self._session = None if timeout is None else database.session()
        self._interrupting: Future[None] | None = None

    def _interrupt(self) -> None:
        _raise_in(self._thread_id, TimedOut)
        if self._interrupting is None or self._interrupting.done():
            self._interrupting = start_in_background(self._interrupt_statement)

    def _interrupt_statement(self) -> None:
        try:
            self._database.interrupt_statement(self._session)
        except Exception as error:
            if not self.has_ended:
                message = "a statement of its body could not be stopped although its time is up. It is tried again: %s"
                self.log(logging.ERROR, message, error, error=error)

    def _give_up(self) -> None:
        error = self.error
        self.note_where_it_is("It does not react.")

        def run() -> None:
            if self.has_ended:
                return
            try:
                self._database.end_session(self._session)
            except Exception as problem:
                message = "its session could not be ended although its body does not end: %s"
                self.log(logging.ERROR, message, problem, error=problem)
            try:
                self._record(error)
            except Exception as problem:
                message = "its timeout could not be recorded, so the mutation runs again: %s"
                self.log(logging.ERROR, message, problem, error=problem)

        start_in_background(run)

    def _take_back(self) -> None:
        _raise_in(self._thread_id, None)

    def forget_execution(self) -> None:
        super().forget_execution()
        del self._record


def _raise_in(thread_id: int, error: type[BaseException] | None) -> None:
    """Have an exception raised in a thread, in place of one that has not arrived yet; ``None``: have none raised."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread_id), None if error is None else ctypes.py_object(error)
    )


class Watched(Protocol):
    """Is what the watchdog watches: a budget, or the ``AnswerTimeout`` of a thread. ``alarm`` sets its next time."""

    alarm_time: float

    def alarm(self) -> None: ...

    @property
    def log(self) -> Log: ...


class Watchdog:
    """Calls ``alarm`` of each that it watches when its ``alarm_time`` has come."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._change = threading.Condition(self._lock)
        self._watched: set[Watched] = set()
        self._wakes_at = float("inf")
        threading.Thread(target=self._run, name="django_scheduler watchdog", daemon=True).start()

    def watch(self, watched: Watched) -> None:
        with self._lock:
            self._watched.add(watched)
            if watched.alarm_time < self._wakes_at:
                self._wakes_at = watched.alarm_time
                self._change.notify()

    def forget(self, watched: Watched) -> None:
        with self._lock:
            self._watched.discard(watched)

    def _run(self) -> None:
        while True:
            for watched in self._due():
                try:
                    watched.alarm()
                except Exception as error:
                    message = "its time budget could not be enforced. It is tried again in 1 s: %s"
                    watched.log(logging.ERROR, message, error, error=error)
                    watched.alarm_time = time.monotonic() + 1.0
            with self._change:
                self._wakes_at = min((watched.alarm_time for watched in self._watched), default=float("inf"))
                if (wait := self._wakes_at - time.monotonic()) > 0:
                    self._change.wait(min(wait, threading.TIMEOUT_MAX))

    def _due(self) -> list[Watched]:
        now = time.monotonic()
        with self._change:
            return [watched for watched in self._watched if watched.alarm_time <= now]


@cache
def watchdog() -> Watchdog:
    """Return the watchdog of this process, which starts when it is first needed."""
    return Watchdog()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=watchdog.cache_clear)  # its thread is not there
