"""What this project sets itself, and whether a run has met it.

What needs no peers is measured by ``benchmarks/own``, with its targets: what a function costs beside a business row,
and ``run_due()`` in a test.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.rounds import Rounds
from benchmarks.run import Run
from benchmarks.workloads import WORKLOADS, Column
from benchmarks.workloads.memory import FLAT

YES_NO = {True: "yes", False: "no"}

ON_THE_ORM = (
    "celery",
    "dj-queue",
    "django-ox",
    "django-q2",
    "django-tasks-db",
    "huey",
    "procrastinate",
    "steady-queue",
)
ORM_FLOOR = "orm-floor"
NOT_ON_DJANGO = ("chancy", "oban", "pgqueuer")
ALL_PEERS = (*ON_THE_ORM, *NOT_ON_DJANGO)
#: Which commit the claim of each job before they execute it.
CLAIM_EACH = ("django-ox", "django-q2", "django-tasks-db", "huey", "procrastinate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    workload: str
    column: str
    database: str = "postgresql"
    at_least: float | None = None
    at_most: float | None = None
    #: ``at_least`` is then so many times as good as the best of these.
    times: tuple[str, ...] = ()

    def judge(self, run: Run) -> list[str] | None:
        """A line of the table; ``None`` if it was not measured."""
        rounds = run.results.get((self.database, self.workload))
        measured = self._measured(rounds) if rounds else None
        if measured is None:
            return None
        met = measured >= self.at_least if self.at_least is not None else measured <= (self.at_most or 0)
        return [f"{self.workload} on {self.database}: {self.column}", self._bound(), f"{measured:,.2f}", YES_NO[met]]

    def _measured(self, rounds: Rounds) -> float | None:
        if self.times:
            return rounds.times("ours", self.times, self._column())
        figure = rounds.figure("ours", self.column)
        return figure.median if figure else None

    def _column(self) -> Column:
        (workload,) = (workload for workload in WORKLOADS if workload.name == self.workload)
        (column,) = (column for column in workload.columns if column.title == self.column)
        return column

    def _bound(self) -> str:
        bound = f"at least {self.at_least:,g}" if self.at_least is not None else f"at most {self.at_most:,g}"
        if not self.times:
            return bound
        return f"{bound} x {self.times[0] if len(self.times) == 1 else 'the best peer'}"


TARGETS = (
    Target(workload="drain-insert", column="functions/s", at_least=0.85, times=(ORM_FLOOR,)),
    Target(workload="drain-insert-2", column="functions/s", at_least=0.75, times=(ORM_FLOOR,)),
    Target(workload="drain-noop", column="functions/s", at_least=0.6, times=(ORM_FLOOR,)),
    Target(workload="drain-noop", column="functions/s", at_least=1, times=("pgqueuer",)),
    *(Target(workload="drain-sql", column="functions/s", at_least=1, times=(peer,)) for peer in NOT_ON_DJANGO),
    Target(workload="schedule-many", column="functions/s", at_least=0.9, times=(ORM_FLOOR,)),
    Target(workload="schedule-many", column="functions/s", at_least=1, times=("pgqueuer",)),
    Target(workload="latency", column="p50 ms", at_least=1, times=ALL_PEERS),
    Target(workload="latency", column="p99 ms", at_least=1, times=ALL_PEERS),
    Target(workload="lateness", column="p50 ms", at_least=1, times=ALL_PEERS),
    Target(workload="lateness", column="p99 ms", at_least=1, times=ALL_PEERS),
    # Twice what it was before the work that these targets asked for, on two cores with an fsync of 0.25 ms.
    Target(workload="actions-noop", column="functions/s", at_least=1_150),
    Target(workload="actions-noop", column="functions/s", at_least=1, times=CLAIM_EACH),
    Target(workload="actions-insert", column="functions/s", at_least=890),
    Target(workload="actions-insert", column="functions/s", at_least=1, times=CLAIM_EACH),
    Target(workload="idle", column="statements/s", at_most=0.5),
    Target(workload="queues", column="share that is left", at_least=0.7),
    Target(workload="queues", column="share of actions", at_least=0.7),
    Target(workload="snapshot", column="share of mutations", at_least=0.9),
    Target(workload="snapshot", column="share of actions", at_least=0.9),
    Target(workload="snapshot", column="times as late", at_most=2),
    Target(workload="memory", column="growth in MiB", at_most=FLAT),
    Target(workload="drain-insert", column="functions/s", database="sqlite", at_least=0.75, times=(ORM_FLOOR,)),
    Target(workload="drain-noop", column="functions/s", database="sqlite", at_least=0.5, times=(ORM_FLOOR,)),
    Target(workload="latency", column="p50 ms", database="sqlite", at_most=5),
    Target(workload="future", column="share that is left", at_least=0.97),
    Target(workload="kill", column="wrong", at_most=0),
    Target(workload="kill", column="wrong", database="sqlite", at_most=0),
)


def verdicts(run: Run) -> Iterator[list[str]]:
    """What was asked for, the target, what was measured, and whether it is met."""
    for target in TARGETS:
        if verdict := target.judge(run):
            yield verdict
