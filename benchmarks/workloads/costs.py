"""What the database server has to do."""

import time
from collections.abc import Mapping

from benchmarks.arena import Arena
from benchmarks.contender import NotSupported
from benchmarks.databases import Costs
from benchmarks.processes import Workers
from benchmarks.workloads.base import Column, Measurement, Size, Workload

ALONE, DRAINED = "alone", "in a drain"
FUNCTIONS_ALONE, FUNCTIONS_DRAINED = 12, 1_000


class Idle(Workload):
    name = "idle"
    title = "Statements of an idle worker"
    explanation = "Everything that the server is asked, BEGIN and COMMIT included, with all defaults."
    columns = (Column(title="statements/s", decimals=2, more_is_better=False),)
    databases = ("postgresql",)
    most_rounds = 1

    def measure(self, arena: Arena, size: Size) -> Measurement:
        _refuse_without_database(arena)
        with arena.ready_workers(), arena.database.counting() as costs:
            time.sleep(size.idle_seconds)
        statements = costs[0].statements
        if statements is None:
            return Measurement(figures={}, remark="this server does not count")
        return Measurement(figures={"statements/s": statements / size.idle_seconds})


class PerFunction(Workload):
    name = "costs"
    title = "What executing one function costs the server"
    explanation = (
        "Functions that do nothing: one at a time with an idle worker, and in a drain. Commits are transactions, and"
        " savepoints, that wrote. What scheduling costs is not in it. Statements include BEGIN and COMMIT."
    )
    columns = (
        Column(title=f"commits {ALONE}", decimals=2, more_is_better=False),
        Column(title=f"statements {ALONE}", decimals=1, more_is_better=False),
        Column(title=f"WAL bytes {ALONE}", more_is_better=False),
        Column(title=f"commits {DRAINED}", decimals=2, more_is_better=False),
        Column(title=f"statements {DRAINED}", decimals=2, more_is_better=False),
        Column(title=f"WAL bytes {DRAINED}", more_is_better=False),
    )
    databases = ("postgresql",)
    most_rounds = 1

    def measure(self, arena: Arena, size: Size) -> Measurement:
        _refuse_without_database(arena)
        jobs = range(FUNCTIONS_ALONE)
        for job in jobs:  # what scheduling costs a fresh table is not what it costs later
            arena.agent.ask("schedule", body="noop", job=job)
        with arena.database.counting() as scheduling:
            for job in jobs:
                arena.agent.ask("schedule", body="noop", job=job)
        with arena.workers() as workers:
            _wait_for(arena, workers, 2 * FUNCTIONS_ALONE)
            time.sleep(1.0)
            with arena.database.counting() as both:
                for job in jobs:
                    arena.agent.ask("schedule", body="noop", job=job)
                    _wait_for(arena, workers, 2 * FUNCTIONS_ALONE + job + 1)
                time.sleep(0.3)
        arena.agent.ask("schedule_many", body="noop", first=0, count=FUNCTIONS_DRAINED)
        with arena.database.counting() as drained, arena.workers() as workers:
            _wait_for(arena, workers, 3 * FUNCTIONS_ALONE + FUNCTIONS_DRAINED)
            _wait_until_finished(arena)
        alone = _difference(both[0], scheduling[0])
        figures = {**_each(ALONE, alone, FUNCTIONS_ALONE), **_each(DRAINED, drained[0], FUNCTIONS_DRAINED)}
        return Measurement(figures=figures)


def _refuse_without_database(arena: Arena) -> None:
    if arena.header.needs_redis:
        raise NotSupported("its queue is in Redis")


def _wait_for(arena: Arena, workers: Workers, count: int) -> None:
    arena.wait_until(lambda: arena.journal.count() >= count, workers, seconds=20, what="its worker did not execute all")


def _wait_until_finished(arena: Arena) -> None:
    deadline = time.monotonic() + 5
    while arena.agent.ask("unfinished") and time.monotonic() < deadline:
        time.sleep(0.2)


def _difference(costs: Costs, less: Costs) -> Costs:
    known = costs.statements is not None and less.statements is not None
    statements = (costs.statements or 0) - (less.statements or 0) if known else None
    return Costs(statements, costs.commits - less.commits, costs.wal_bytes - less.wal_bytes)


def _each(when: str, costs: Costs, count: int) -> Mapping[str, float]:
    figures = {f"commits {when}": costs.commits / count, f"WAL bytes {when}": costs.wal_bytes / count}
    if costs.statements is not None:
        figures[f"statements {when}"] = costs.statements / count
    return figures
