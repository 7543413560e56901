"""An executor's life in a process of its own: from its start until it has ended, or has to."""

import logging
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import wait
from contextlib import suppress
from typing import Protocol

from django_scheduler.executor.errand import run_errand, start_errand
from django_scheduler.executor.executor import Executor

#: How often it looks for requests and for the end, in seconds.
INTERVAL = 0.1

#: How long who executes nothing may take to end, however much is insisted, in seconds.
PATIENCE = 2.0

#: The exit code of a process that has ended in the middle of something.
CUT_OFF = 1


class StopRequests(Protocol):
    """The first one lets running functions end, for as long as there is grace; the second one does not.

    Who executes nothing ends in good order, however many there are.
    """

    @property
    def count(self) -> int: ...


def run(
    executor: Executor,
    requests: StopRequests,
    *,
    grace: float,
    started: Callable[[], None] = lambda: None,
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Start the executor, and return when all of it has ended. If it has to be cut off, this process ends.

    Raises what the executor raises if it cannot start.
    """
    _start(executor, requests)
    started()
    deadline = idle_deadline = None
    while not executor.wait(timeout=INTERVAL):
        meanwhile()
        now = time.monotonic()
        if deadline is None or idle_deadline is None:
            if requests.count:
                deadline, idle_deadline = now + grace, now + PATIENCE
                executor.stop()
        elif now > deadline or (requests.count > 1 and (executor.is_executing or now > idle_deadline)):
            executor.abandon()
            end_process()


def _start(executor: Executor, requests: StopRequests) -> None:
    start = start_errand(executor.start)
    while not wait([start], timeout=INTERVAL).done:
        if requests.count > 1 and not start.done():  # a database that does not answer may keep us for minutes
            end_process()
    start.result()


def end_process() -> None:
    """End this process now. Threads that are inside a body cannot be stopped, but its connections end with it."""
    with suppress(Exception):  # one of those threads may hold the lock of a handler, or nobody read its output
        run_errand(_flush, timeout=INTERVAL)
    os._exit(CUT_OFF)


def _flush() -> None:
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
