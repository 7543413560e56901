"""The answer timeout: an executor gives a session up whose database does not answer its own statements in time.

The budget of a function (``budget.py``) limits its body. Around it are the executor's own statements: looks, claims,
the records of ends, COMMIT, heartbeats. A host that is gone is noticed by the kernel (``databases/silence.py``). But a
proxy or a balancer that hangs takes what it is sent and never answers, and the thread would wait for ever: with the
claim lock, so that all workers of the executor wait, or in a COMMIT, so that the row stays locked.

So a thread notes since when it has been waiting for an answer, and the watchdog looks at that note once
``ANSWER_TIMEOUT`` has passed. If it is that old, the session's connection is cut. The driver then reports a lost
connection, and what follows is what follows any lost connection: a look is repeated, a transaction has vanished, and
where a COMMIT got no answer the record is read. The note is an attribute of an object of the thread. It costs no
statement, no thread and no lock, and the watchdog wakes for each thread once per ``ANSWER_TIMEOUT``.

Before that, the server is asked on another connection whether it is still at work for that session, by itself: it
checks constraints at COMMIT, or deletes rows with many that refer to them. That may well take longer, and would take
as long each time, so it is waited for, but not for longer than ``LONGEST_WORK``. What it does not tell within
``TELL_TIMEOUT`` is taken for no.

The database may also have been alive and have waited itself: for a lock, or in COMMIT for a standby. Then nothing is
doubled and nothing is lost, because what was asked is asked again on a new connection, in a way that waits for who
holds the row: the old session itself, if its server has not ended it yet. That is why the time need not be longer than
every wait that may end well.

No note is made while the code of a project runs. How long it may take to make a connection is the driver's business
(``Database.options``); from then on it can be cut, also while its session is only being set up. mysqlclient lets no
other thread ask for a connection's descriptor while it executes a statement, so that is noted at once.

SQLite has no server, and waits for its lock only as long as it is told to.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django_scheduler.databases import Database, Descriptor, django_internals
from django_scheduler.executor.budget import watchdog
from django_scheduler.executor.threads import run_in_background, start_in_background
from django_scheduler.telemetry import log_of_executors

#: How long the database may take to answer, in seconds.
ANSWER_TIMEOUT = 30.0

#: How long the server may be at work for one answer, in seconds.
LONGEST_WORK = 600.0

#: How long the database may take to tell whether it is still at work, in seconds.
TELL_TIMEOUT = 5.0

#: How soon a session is given up once more if that has had no effect, in seconds.
REPEAT = 1.0

NEVER = float("inf")

P = ParamSpec("P")
R = TypeVar("R")


class AnswerTimeout:
    """Gives up the session of one thread if the database takes longer than ``seconds`` to answer it."""

    def __init__(self, database: Database, seconds: float) -> None:
        self._database = database
        self._seconds = seconds
        self._thread_name = threading.current_thread().name
        #: The connection that the thread has now, and its session, as ``Database`` returns them. ``None``: none yet.
        self.descriptor: Descriptor | None = None
        self.session: Any = None
        #: By ``time.monotonic()``; ``NEVER``: it waits for no answer.
        self.waits_since = NEVER
        #: When the watchdog calls ``alarm`` next, by ``time.monotonic()``.
        self.alarm_time = time.monotonic() + seconds
        #: Whether the server is being asked what it does.
        self._is_asking = False

    def alarm(self) -> None:
        """Give the session up if it has been waiting for too long. Called in the watchdog's thread."""
        now, since = time.monotonic(), self.waits_since
        if now < since + self._seconds:
            self.alarm_time = min(now, since) + self._seconds
            return
        self.alarm_time = now + REPEAT
        descriptor, session = self.descriptor, self.session
        if descriptor is not None and not self._is_asking:
            start_in_background(lambda: self._give_up(descriptor, session, since))

    def _give_up(self, descriptor: Descriptor, session: Any, since: float) -> None:
        self._is_asking = True
        try:
            may_be_at_work = session is not None and time.monotonic() - since < LONGEST_WORK
            is_at_work = may_be_at_work and self._is_at_work(session)
        finally:
            self._is_asking = False
        if self.waits_since != since:  # the answer has come meanwhile
            return
        waiting = self._thread_name, self._database.using, time.monotonic() - since
        if is_at_work:
            self.alarm_time = time.monotonic() + self._seconds
            message = "The thread %r has waited for an answer of the database %r for %.0f s. Its server is at work"
            log_of_executors(logging.WARNING, message, *waiting)
            return
        descriptor.cut()  # before anything that may take long itself
        try:
            if session is not None:
                self._database.end_session(session)  # MySQL's server notices no cut while a statement waits for a lock
        finally:
            message = "The thread %r has waited for an answer of the database %r for %.0f s. Its connection is cut"
            log_of_executors(logging.ERROR, message, *waiting)

    def _is_at_work(self, session: Any) -> bool:
        answers: list[bool] = []
        with suppress(Exception):
            run_in_background(lambda: answers.append(self._database.is_at_work(session)), timeout=TELL_TIMEOUT)
        return any(answers)

    def log(self, level: int, message: str, *arguments: object, error: BaseException | None = None) -> None:
        """Log a message about the thread."""
        log_of_executors(level, f"The thread %r: {message}", self._thread_name, *arguments, error=error)


class _ThisThread(threading.local):
    answer_timeout: AnswerTimeout | None = None


_this_thread = _ThisThread()


@contextmanager
def with_answer_timeout(database: Database, seconds: float | None = None) -> Iterator[None]:
    """Have the notes of this thread watched within the block, for its session with this database."""
    if not database.has_server:
        yield
        return
    outer = _this_thread.answer_timeout
    answer_timeout = AnswerTimeout(database, ANSWER_TIMEOUT if seconds is None else seconds)
    _this_thread.answer_timeout = answer_timeout
    watchdog().watch(answer_timeout)
    try:
        yield
    finally:
        watchdog().forget(answer_timeout)
        _this_thread.answer_timeout = outer


def is_connecting(descriptor: Descriptor | None) -> None:
    """Note the connection that this thread has from now on; its session is only being set up."""
    if _this_thread.answer_timeout is not None:
        _this_thread.answer_timeout.descriptor, _this_thread.answer_timeout.session = descriptor, None


def has_connected(session: Any) -> None:
    """Note the session that this thread has from now on."""
    if _this_thread.answer_timeout is not None:
        _this_thread.answer_timeout.session = session


class awaiting_answer:  # noqa: N801
    """Note that this thread waits for the database within the block, or within each call of what this decorates.

    A class, and not a generator, because a function enters several of these: each takes a third of the time.
    """

    __slots__ = ("_answer_timeout", "_before")

    def __enter__(self) -> None:
        self._answer_timeout = answer_timeout = _this_thread.answer_timeout
        if answer_timeout is not None:
            self._before, answer_timeout.waits_since = answer_timeout.waits_since, self._waits_since()

    def __exit__(self, *_: object) -> None:
        if self._answer_timeout is not None:
            self._answer_timeout.waits_since = NEVER if self._before == NEVER else time.monotonic()

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def noted(*args: P.args, **kwargs: P.kwargs) -> R:
            with type(self)():
                return function(*args, **kwargs)

        return noted

    def _waits_since(self) -> float:
        return time.monotonic()


class awaiting_nothing(awaiting_answer):  # noqa: N801
    """Note that within the block this thread does something else, for as long as that takes."""

    __slots__ = ()

    def _waits_since(self) -> float:
        return NEVER


@contextmanager
def awaiting_each_answer(database: Database) -> Iterator[None]:
    """Note before and after each statement within the block that this thread waits from then on.

    For what may execute many of them.
    """
    wrappers = django_internals.statement_wrappers(database.connection)
    wrappers.append(_note_statement)
    try:
        with awaiting_answer():
            yield
    finally:
        with suppress(ValueError):  # tidying has removed it, or a new session has none
            wrappers.remove(_note_statement)


def _note_statement(execute: Callable[..., Any], *statement: Any) -> Any:
    with awaiting_answer():
        return execute(*statement)
