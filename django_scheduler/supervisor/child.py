"""A child process runs an executor until the supervisor says stop.

The supervisor says so through a pipe, and the end of the pipe says the same: a supervisor that was killed cannot
replace this process any more. Signals to this very process ask it to stop gracefully, however many there are:
systemd sends its SIGTERM to every process of a service, and a terminal its SIGINT, and the supervisor sends
its request as well.

For functions that leak memory, a process asks to be replaced once it has executed ``max_functions`` or uses
``max_memory``. It goes on until its replacement executes.

A child process is spawned, and imports this module before Django is set up. So nothing that needs Django is imported
here at the top, and ``ChildOptions`` names everything by strings.
"""

import os
import platform
from collections.abc import MutableSequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from multiprocessing.connection import Connection
from pathlib import Path

from django_scheduler.supervisor.stop_signals import StopSignals


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


class Message(Enum):
    """Names what a child process tells its supervisor, each with a text."""

    #: With the name of its executor.
    STARTED = auto()
    #: With the limit that it has reached.
    REPLACE_ME = auto()


def run_child(options: ChildOptions, supervisor: Connection, running_ids: MutableSequence[int]) -> None:
    """Run an executor until the supervisor says stop, or has ended.

    ``running_ids``: shared with the supervisor, which reads there whose bodies were running if this process dies.
    """
    import django

    django.setup()

    from django_scheduler.executor import Executor, RunningBodies, Until, run_until_ended, start_executor
    from django_scheduler.telemetry import show_log

    show_log(options.verbosity)
    with StopSignals() as signals:
        requests = _StopRequests(supervisor, signals)
        running_bodies = RunningBodies(running_ids)
        executor = Executor(
            using=options.using,
            concurrency=options.concurrency,
            queues=options.queues,
            until=Until[options.until],
            running_bodies=running_bodies,
        )
        start_executor(executor, requests)
        _send(supervisor, Message.STARTED, executor.name)
        has_asked = False

        def ask_for_replacement() -> None:
            nonlocal has_asked
            if not has_asked and (reason := _limit_reached(options, running_bodies.ended)):
                has_asked = True
                _send(supervisor, Message.REPLACE_ME, reason)

        run_until_ended(executor, requests, grace=options.grace, meanwhile=ask_for_replacement)


class _StopRequests:
    """Counts how often this process has been told to stop: 0, not; 1, gracefully; 2, at once."""

    def __init__(self, supervisor: Connection, signals: StopSignals) -> None:
        self._supervisor = supervisor
        self._signals = signals
        self._requests = 0
        self._is_alone = False

    @property
    def count(self) -> int:
        while not self._is_alone:
            try:
                if not self._supervisor.poll():
                    break
                self._supervisor.recv_bytes()
                self._requests += 1
            except (EOFError, OSError):
                self._is_alone = True
        return max(self._requests, 1 if self._is_alone or self._signals.count else 0)


def _send(supervisor: Connection, message: Message, text: str) -> None:
    with suppress(OSError):  # the supervisor has ended
        supervisor.send((message, text))


def _limit_reached(options: ChildOptions, functions: int) -> str | None:
    """Say in words which limit this process has reached, having executed so many functions, if any."""
    if options.max_functions is not None and functions >= options.max_functions:
        return f"has executed {functions:,} functions"
    if options.max_memory is not None and (memory := _memory_in_use()) >= options.max_memory:
        return f"uses {memory / 2**20:,.0f} MiB of memory"
    return None


def _memory_in_use() -> int:
    """Return how many bytes of this process are in memory, or were at most where only that is known."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource  # which Windows lacks

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if platform.system() == "Darwin" else most * 1024
