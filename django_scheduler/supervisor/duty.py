"""What a worker process does: it runs an executor until it is told to stop.

It is told by its supervisor, through a pipe whose end is as good as an order: a supervisor that was killed is
not going to restart anybody. Signals to this very process ask it to end in good order, however many there are:
systemd sends its SIGTERM to every process of a service, and the terminal its SIGINT, and the supervisor sends
its order besides.
"""

from collections.abc import MutableSequence
from contextlib import suppress
from enum import Enum, auto
from multiprocessing.connection import Connection

from django_scheduler.supervisor.assignment import Assignment
from django_scheduler.supervisor.stop_signals import StopSignals


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

    from django_scheduler.executor.executor import Executor
    from django_scheduler.executor.flight_recorder import FlightRecorder
    from django_scheduler.executor.lookout import Until
    from django_scheduler.executor.run import run
    from django_scheduler.log import show_log
    from django_scheduler.supervisor.limits import Limits

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
