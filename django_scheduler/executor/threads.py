"""An executor has these threads beside its workers. What runs in them leaves no connection open at its end.

* A background call does something once. The caller's connection stays as it is, whatever happens, and the caller
  decides for how long to wait.
* A side task is repeated. Whatever happens in it is logged, and it is tried again after a wait that doubles. It never
  stops the work, nor another side task. It runs at least once, however soon the executor stops. One that runs often
  keeps its session until it fails.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import Any

from django.db import connections

from django_scheduler.telemetry import log_of_executors as log
from django_scheduler.transactions import DoublingWait

#: How long a log message may keep whoever ends processes, in seconds.
LOG_TIMEOUT = 1.0


def start_in_background(call: Callable[[], object]) -> Future[None]:
    """Start a call in a thread of its own, and return a future that ends as it does."""
    outcome: Future[None] = Future()

    def run() -> None:
        try:
            try:
                call()
            finally:
                connections.close_all()
        except BaseException as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    threading.Thread(target=run, name="django_scheduler background call", daemon=True).start()
    return outcome


def run_in_background(call: Callable[[], None], *, timeout: float) -> None:
    """Run a call in a thread of its own, and wait for its end, for ``timeout`` seconds at most.

    Raises what the call raises, and ``TimeoutError`` when it takes longer; then it goes on.
    """
    start_in_background(call).result(timeout)


def log_briefly(level: int, message: str, *arguments: object, **extra: Any) -> None:
    """Log a message about executors, and go on after a second although no handler has taken it.

    For whoever ends processes: a handler whose output nobody reads may keep its caller for ever.
    """
    with suppress(TimeoutError):
        run_in_background(partial(log, level, message, *arguments, **extra), timeout=LOG_TIMEOUT)


def side_task(
    name: str,
    task: Callable[[], None],
    *,
    interval: float,
    stopping: threading.Event,
    kept_session: Callable[[], AbstractContextManager[None]] | None = None,
) -> threading.Thread:
    """Return a thread that runs ``task`` every ``interval`` seconds until ``stopping`` is set, at least once.

    ``kept_session``: makes a session that is kept until the task fails.
    """

    def run() -> None:
        # No longer than its interval, so that a heartbeat is written in time once the database is back.
        waits_after_failure = DoublingWait(first=min(0.5, interval), longest=min(5.0, interval))
        while True:
            try:
                try:
                    with kept_session() if kept_session else nullcontext():
                        task()
                        waits_after_failure.reset()
                        while kept_session and not stopping.wait(interval):
                            task()
                finally:
                    connections.close_all()
                wait = interval
            except BaseException as error:
                wait = waits_after_failure.next()
                message = "The side task %r of an executor failed, and is repeated in %.1f s: %s"
                log(logging.WARNING, message, name, wait, error, error=error)
            if stopping.wait(wait):
                return

    return threading.Thread(target=run, name=f"django_scheduler {name}", daemon=True)
