"""What this project sets itself, and whether a run has met it."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.run import Run

ON_THE_ORM = ("celery", "dj-queue", "django-ox", "django-q2", "django-tasks-db", "huey", "procrastinate")
ALL_PEERS = (*ON_THE_ORM, "chancy", "oban", "pgqueuer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    workload: str
    column: str
    database: str = "postgresql"
    at_least: float | None = None
    at_most: float | None = None
    #: ``at_least`` is then so many times the best of these.
    peers: tuple[str, ...] = ()

    def judge(self, run: Run) -> list[str] | None:
        """A line of the table; ``None`` if it was not measured."""
        figure = self._figure(run, "ours")
        if figure is None:
            return None
        bound, limit = self._limit(run)
        if limit is None:
            return None
        met = figure >= limit if self.at_least is not None else figure <= limit
        return [
            f"{self.workload} on {self.database}: {self.column}",
            bound,
            f"{figure:,.2f}",
            "yes" if met else "no",
        ]

    def _limit(self, run: Run) -> tuple[str, float | None]:
        if self.at_most is not None:
            return f"at most {self.at_most:g}", self.at_most
        assert self.at_least is not None
        if not self.peers:
            return f"at least {self.at_least:,g}", self.at_least
        figures = {peer: figure for peer in self.peers if (figure := self._figure(run, peer)) is not None}
        if not figures:
            return "", None
        best = max(figures, key=lambda peer: figures[peer])
        limit = self.at_least * figures[best]
        return f"at least {self.at_least:g} x {best}: {limit:,.0f}", limit

    def _figure(self, run: Run, contender: str) -> float | None:
        result = run.results.get((self.database, self.workload, contender))
        return result.figures.get(self.column) if result else None


TARGETS = (
    Target(workload="drain-insert", column="functions/s", at_least=3, peers=ON_THE_ORM),
    Target(workload="drain-insert", column="functions/s", at_least=0.75, peers=("pgqueuer",)),
    Target(workload="drain-insert-2", column="functions/s", at_least=1, peers=ALL_PEERS),
    Target(workload="drain-noop", column="functions/s", at_least=1.4, peers=("pgqueuer",)),
    Target(workload="drain-insert", column="functions/s", database="sqlite", at_least=3, peers=("huey",)),
    Target(workload="latency", column="p50 ms", at_most=1.5),
    Target(workload="latency", column="p95 ms", at_most=3),
    Target(workload="latency", column="p95 ms", database="sqlite", at_most=25),
    Target(workload="lateness", column="p50 ms", at_most=2),
    Target(workload="lateness", column="p99 ms", at_most=5),
    Target(workload="idle", column="statements/s", at_most=0.5),
    Target(workload="future", column="share that is left", at_least=0.97),
    Target(workload="schedule-many", column="functions/s", at_least=40_000),
    Target(workload="kill", column="wrong", at_most=0),
    Target(workload="kill", column="recovery s", at_most=1),
    Target(workload="kill", column="wrong", database="sqlite", at_most=0),
    Target(workload="costs", column="commits alone", at_most=1),
    Target(workload="costs", column="statements alone", at_most=4),
    Target(workload="costs", column="WAL bytes alone", at_most=800),
)


def verdicts(run: Run) -> Iterator[list[str]]:
    """What was asked for, the target, what was measured, and whether it is met."""
    for target in TARGETS:
        if verdict := target.judge(run):
            yield verdict
