"""A child process runs an executor until the supervisor says stop.

The supervisor says so through a pipe, and the end of the pipe says the same: a supervisor that was killed cannot
replace this process any more. Signals to this very process ask it to stop gracefully, however many there are:
systemd sends its SIGTERM to every process of a service, and a terminal its SIGINT, and the supervisor sends
its request as well.

For functions that leak memory, a process asks to be replaced once it has executed ``max_functions`` or uses
``max_memory``; and also when bodies that do not end hold all of its threads. It goes on until its replacement executes.
Then it is told to retire, and ends when nothing is left that it has to wait for.

A child process is spawned, and imports this module before Django is set up. So nothing that needs Django is imported
here at the top, and ``ChildOptions`` names everything by strings.
"""

import logging
import os
import platform
import time
from collections.abc import MutableSequence
from contextlib import suppress
from ctypes import c_double
from dataclasses import dataclass
from enum import Enum, auto
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from django_scheduler.supervisor.stop_signals import StopSignals, ignore_signals

if TYPE_CHECKING:
    from django_scheduler.executor import RunningBodies


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildOptions:
    """Says what a child process is to do."""

    using: str
    concurrency: int
    queues: tuple[str, ...]
    #: The name of a member of ``Until``.
    until: str
    #: How long running functions may take to end once it is to stop, in seconds.
    grace: float
    #: After so many functions it asks to be replaced.
    max_functions: int | None
    #: When it uses so many bytes of memory it asks to be replaced.
    max_memory: int | None
    verbosity: int


#: What the supervisor sends: that this process is to stop; and that another one has taken over, so that it is to end
#: what it is executing, in as much time as that needs.
STOP, RETIRE = b"stop", b"retire"


class Message(Enum):
    """Names what a child process tells its supervisor, each with a text."""

    #: With the name of its executor.
    STARTED = auto()
    #: With the limit that it has reached.
    REPLACE_ME = auto()
    #: Likewise, because it can execute nothing more; with the reason.
    STUCK = auto()


def run_child(
    options: ChildOptions, supervisor: Connection, running_ids: MutableSequence[int], alive_at: c_double
) -> None:
    """Run an executor until the supervisor says stop, or has ended.

    ``running_ids``: shared with the supervisor, which reads there whose bodies were running if this process dies.
    ``alive_at``: likewise, when the main thread has run last, by the clock that all processes share.
    """
    import django

    django.setup()

    from django_scheduler.executor import end_process_within
    from django_scheduler.telemetry import show_log

    show_log(options.verbosity)
    seconds_left = options.grace
    try:
        with StopSignals() as signals:
            seconds_left = _run_executor(options, supervisor, running_ids, alive_at, signals)
    finally:
        ignore_signals()
        end_process_within(seconds_left)


def _run_executor(
    options: ChildOptions,
    supervisor: Connection,
    running_ids: MutableSequence[int],
    alive_at: c_double,
    signals: StopSignals,
) -> float:
    """Run an executor, and return for how many seconds what bodies have left running may go on."""
    from django_scheduler.executor import Executor, RunningBodies, Until, run_until_ended, start_executor

    requests = _StopRequests(supervisor, signals)
    running_bodies = RunningBodies(running_ids)
    executor = Executor(
        using=options.using,
        concurrency=options.concurrency,
        queues=options.queues,
        until=Until[options.until],
        running_bodies=running_bodies,
    )
    limit = _LimitOf(options, running_bodies)  # before any body uses memory
    start_executor(executor, requests)
    _send(supervisor, Message.STARTED, executor.name)
    has_asked = False

    def be_replaced() -> None:
        nonlocal has_asked
        alive_at.value = time.monotonic()
        if not has_asked and (reason := executor.why_stuck):
            has_asked = True
            _send(supervisor, Message.STUCK, reason)
        if not has_asked and (reason := limit.reached):
            has_asked = True
            _send(supervisor, Message.REPLACE_ME, reason)
        if requests.is_retired:
            executor.stop()
            if not executor.is_working:
                requests.stop()  # what is left does not end, and gets the grace

    return run_until_ended(executor, requests, grace=options.grace, meanwhile=be_replaced)


class _StopRequests:
    """Counts how often this process has been told to stop: 0, not; 1, gracefully; 2, at once."""

    def __init__(self, supervisor: Connection, signals: StopSignals) -> None:
        self._supervisor = supervisor
        self._signals = signals
        self._requests = 0
        self._is_alone = False
        self._is_retired = False

    @property
    def count(self) -> int:
        self._receive()
        return max(self._requests, 1 if self._is_alone or self._signals.count else 0)

    @property
    def is_retired(self) -> bool:
        """Return whether another process has taken over."""
        self._receive()
        return self._is_retired

    def stop(self) -> None:
        """Ask this process to stop gracefully, if nobody has yet."""
        self._requests = max(self._requests, 1)

    def _receive(self) -> None:
        while not self._is_alone:
            try:
                if not self._supervisor.poll():
                    break
                if self._supervisor.recv_bytes() == RETIRE:
                    self._is_retired = True
                else:
                    self._requests += 1
            except (EOFError, OSError):
                self._is_alone = True
                if not self._requests:
                    _warn("Process %d has lost its supervisor, so it stops: nobody would start it again.", os.getpid())


def _send(supervisor: Connection, message: Message, text: str) -> None:
    with suppress(OSError):  # the supervisor has ended
        supervisor.send((message, text))


class _LimitOf:
    """Knows the limits after which this process is to be replaced."""

    def __init__(self, options: ChildOptions, running_bodies: "RunningBodies") -> None:
        self._running_bodies = running_bodies
        self._max_functions = options.max_functions
        self._max_memory = options.max_memory
        if self._max_memory is not None and (memory := _memory_in_use()) >= self._max_memory:
            _warn_of_memory(memory, self._max_memory)
            self._max_memory = None

    @property
    def reached(self) -> str:
        """Say in words which limit has been reached; empty: none. A process that has executed nothing reaches none."""
        functions = self._running_bodies.ended
        if functions and self._max_functions is not None and functions >= self._max_functions:
            return f"has executed {'1 function' if functions == 1 else f'{functions:,} functions'}"
        if functions and self._max_memory is not None and (memory := _memory_in_use()) >= self._max_memory:
            return f"uses {memory / 2**20:,.0f} MiB of memory"
        return ""


def _warn(message: str, *arguments: object) -> None:
    from django_scheduler.executor import log_briefly

    log_briefly(logging.WARNING, message, *arguments)


def _warn_of_memory(memory: int, most: int) -> None:
    _warn(
        "--max-memory is ignored: process %d uses %.0f MiB before it has executed anything, and may use %.0f MiB. It"
        " would be replaced again and again.",
        os.getpid(),
        memory / 2**20,
        most / 2**20,
    )


def _memory_in_use() -> int:
    """Return how many bytes of this process are in memory, or were at most where only that is known."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource  # which Windows lacks

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if platform.system() == "Darwin" else most * 1024
