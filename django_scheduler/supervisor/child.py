"""What a worker process is told to do. It is read before Django is set up there, so it names everything by strings.

When a process has done enough and is replaced by a new one: for bodies that leak.

An executor's life in a process of its own: from its start until it has ended, or has to.

What a worker process does: it runs an executor until it is told to stop.

It is told by its supervisor, through a pipe whose end is as good as an order: a supervisor that was killed is
not going to restart anybody. Signals to this very process ask it to end in good order, however many there are:
systemd sends its SIGTERM to every process of a service, and the terminal its SIGINT, and the supervisor sends
its order besides.
"""

import logging
import os
import platform
import sys
import time
from collections.abc import Callable, MutableSequence
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from django_scheduler.executor import Executor, run_errand, start_errand
from django_scheduler.supervisor.stop_signals import StopSignals


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    using: str
    concurrency: int
    queues: tuple[str, ...]
    #: The name of a member of ``Until``.
    until: str
    #: How long running functions may take to end once it is to stop, in seconds.
    grace: float
    #: After so many functions it asks to be replaced.
    max_functions: int | None
    #: When it uses so many bytes it asks to be replaced.
    max_memory: int | None
    verbosity: int


PAGE_SIZE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``max_functions``: how many it executes. ``max_memory``: how many bytes it keeps in memory."""

    max_functions: int | None = None
    max_memory: int | None = None

    def exceeded_by(self, functions: int) -> str | None:
        """Which limit this process has reached, in words, having executed so many functions."""
        if self.max_functions is not None and functions >= self.max_functions:
            return f"has executed {functions:,} functions"
        if self.max_memory is not None and (memory := memory_in_use()) >= self.max_memory:
            return f"uses {memory / 2**20:,.0f} MiB of memory"
        return None


def memory_in_use() -> int:
    """How many bytes of this process are in memory. Where only its maximum is known: that."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_SIZE
    except OSError:
        import resource  # which Windows lacks

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if platform.system() == "Darwin" else most * 1024


#: How often it looks for requests and for the end, in seconds.
INTERVAL = 0.1

#: The exit code of a process that has ended in the middle of something.
CUT_OFF = 1


class StopRequests(Protocol):
    """The first one lets running functions end, for as long as there is grace; the second one does not."""

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
    deadline = None
    while not executor.wait(timeout=INTERVAL):
        meanwhile()
        if deadline is None:
            if requests.count:
                deadline = time.monotonic() + grace
                executor.stop()  # who is idle ends within the interval, however many requests there are
        elif requests.count > 1 or time.monotonic() > deadline:
            executor.abandon()
            end_process()


def _start(executor: Executor, requests: StopRequests) -> None:
    start = start_errand(executor.start)
    while not wait([start], timeout=INTERVAL).done:
        if requests.count > 1:  # a database that does not answer may keep us for minutes
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


class Report(Enum):
    """What it says to its supervisor, each with a text."""

    #: Its executor's name.
    STARTED = auto()
    #: Why it is to be replaced.
    ENOUGH = auto()


class Orders:
    """How much this process is told to stop: 0, not; 1, in good order; 2, at once."""

    def __init__(self, supervisor: Connection, signals: StopSignals) -> None:
        self._supervisor = supervisor
        self._signals = signals
        self._orders = 0
        self._is_alone = False

    @property
    def count(self) -> int:
        while not self._is_alone:
            try:
                if not self._supervisor.poll():
                    break
                self._supervisor.recv_bytes()
                self._orders += 1
            except (EOFError, OSError):
                self._is_alone = True
        return max(self._orders, 1 if self._is_alone or self._signals.count else 0)


def serve(assignment: Assignment, supervisor: Connection, slots: MutableSequence[int]) -> None:
    """Run an executor until the supervisor says stop, or is no more."""
    import django

    django.setup()

    from django_scheduler.executor import Executor, FlightRecorder, Until
    from django_scheduler.telemetry import show_log

    show_log(assignment.verbosity)
    limits = Limits(max_functions=assignment.max_functions, max_memory=assignment.max_memory)
    with StopSignals() as signals:
        orders = Orders(supervisor, signals)
        executor = Executor(
            using=assignment.using,
            concurrency=assignment.concurrency,
            queues=assignment.queues,
            until=Until[assignment.until],
            flight_recorder=FlightRecorder(slots),
        )
        has_asked = False

        def say(report: Report, text: str) -> None:
            with suppress(OSError):  # nobody is there any more
                supervisor.send((report, text))

        def ask_for_replacement() -> None:
            nonlocal has_asked
            if not has_asked and (reason := limits.exceeded_by(executor.bodies)):
                has_asked = True
                say(Report.ENOUGH, reason)

        run(
            executor,
            orders,
            grace=assignment.grace,
            started=lambda: say(Report.STARTED, executor.name),
            meanwhile=ask_for_replacement,
        )
