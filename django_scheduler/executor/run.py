"""A process runs an executor until it has ended, or has to be cut off.

A database that does not answer may keep a thread waiting for minutes, and a body may never return. Neither may keep
the process from ending when it is told to: so whatever may wait runs in another thread, and this one looks
for requests to stop.
"""

import faulthandler
import logging
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import wait
from contextlib import suppress
from typing import Protocol

from django_scheduler.executor.executor import Executor
from django_scheduler.executor.threads import LOG_TIMEOUT, log_briefly, run_in_background, start_in_background
from django_scheduler.telemetry import log_of_executors as log

#: How often it looks for requests and for the end, in seconds.
INTERVAL = 0.1

#: How long an executor that executes nothing may take to end, however many requests there are, in seconds.
IDLE_GRACE = 2.0

#: After how many seconds a process that has nothing more to do and does not end logs a warning.
WARN_AFTER = 1.0

#: The exit code of a process that has ended in the middle of something.
CUT_OFF = 1


class StopRequests(Protocol):
    """Counts the requests to stop: the first one lets running functions end within the grace, the second one does not.

    An executor that executes nothing ends in good order, however many there are.
    """

    @property
    def count(self) -> int: ...


class StopWhenStuck:
    """Counts the requests to stop, and stops an executor by itself that can execute nothing more.

    From outside, such a process looks healthy: it holds its connections, and writes its heartbeat.
    """

    def __init__(self, executor: Executor, requests: StopRequests) -> None:
        self._executor = executor
        self._requests = requests
        self.is_stuck = False

    @property
    def count(self) -> int:
        if not self.is_stuck and (why := self._executor.why_stuck):
            self.is_stuck = True
            message = "Executor %s %s. It ends, with exit code 1, to be started again."
            log_briefly(logging.CRITICAL, message, self._executor.name, why, executor=self._executor.name)
        if not self.is_stuck:
            return self._requests.count
        return max(self._requests.count, 1 if self._executor.is_working else 2)


def start_executor(executor: Executor, requests: StopRequests) -> None:
    """Start the executor. A second request to stop ends this process if it has not started soon after.

    Raises what ``Executor.start`` raises.
    """
    deadline = None

    def is_to_end() -> bool:
        nonlocal deadline
        if deadline is None and requests.count > 1:
            deadline = time.monotonic() + IDLE_GRACE  # mostly it is just being put on record, and then removes its row
        return deadline is not None and time.monotonic() > deadline

    run_or_end_process(executor.start, is_to_end)


def run_until_ended(
    executor: Executor,
    requests: StopRequests,
    *,
    grace: float,
    meanwhile: Callable[[], object] | None = None,
) -> float:
    """Return when all of the executor has ended. If it has to be cut off, this process ends.

    What is returned is for how many seconds what bodies have left running may go on: the rest of the grace.

    ``grace``: for how many seconds running functions may go on after the first request to stop. ``meanwhile`` is called
    again and again.
    """
    deadline = idle_deadline = None
    while not executor.wait(timeout=INTERVAL):
        if meanwhile:
            meanwhile()
        now = time.monotonic()
        if deadline is None or idle_deadline is None:
            if requests.count:
                deadline, idle_deadline = now + grace, now + IDLE_GRACE
                executor.stop()
        elif (now > deadline or requests.count > 1) and (executor.is_executing or now > idle_deadline):
            executor.abandon()
            end_process()
    left = grace if deadline is None else deadline - time.monotonic()
    return max(left, IDLE_GRACE)


def stop_within(executor: Executor, grace: float) -> None:
    """End an executor whose process is ending by itself: running functions may take as long as the grace.

    What has not ended by then is cut off, and likewise what is running when the process is told to end once more.
    """
    try:
        executor.stop()
        has_ended = executor.wait(timeout=grace)
    except (KeyboardInterrupt, SystemExit):
        has_ended = False
    if not has_ended:
        executor.abandon()


def run_or_end_process(call: Callable[[], None], is_to_end: Callable[[], bool]) -> None:
    """Run a call in another thread and wait for it, or end this process as soon as it is to end.

    Raises what the call raises.
    """
    outcome = start_in_background(call)
    while not wait([outcome], timeout=INTERVAL).done:
        if is_to_end() and not outcome.done():
            end_process()
    outcome.result()


def end_process() -> None:
    """End this process now. Threads that are inside a body cannot be stopped, but its connections end with it."""
    with suppress(Exception):  # one of those threads may hold the lock of a handler, or nobody reads its output
        run_in_background(_flush, timeout=LOG_TIMEOUT)
    os._exit(CUT_OFF)


def end_process_within(seconds: float) -> None:
    """End this process if it has not ended by itself by then. Call it last.

    At its end Python waits for threads: for those that are no daemons, and for those of every pool, also of asyncio's;
    and for child processes of ``multiprocessing`` and for what ``atexit`` calls. A body may have left any of these.
    The timer does not need Python, which may be half gone by then.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)  # it would write where every thread is, and wait for a reader
    faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)

    def warn() -> None:
        time.sleep(WARN_AFTER)
        names = [thread.name for thread in threading.enumerate() if not thread.name.startswith("django_scheduler")]
        log(
            logging.WARNING,
            "Process %d has nothing more to do, but does not end because of something that a body has left, and is cut"
            " off in %.0f s. Its threads: %s; its child processes: %s.",
            os.getpid(),
            seconds - WARN_AFTER,
            ", ".join(names),
            ", ".join(str(process.pid) for process in multiprocessing.active_children()) or "none",
        )

    threading.Thread(target=warn, name="django_scheduler end", daemon=True).start()


def _flush() -> None:
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
