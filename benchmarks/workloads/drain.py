"""The drain: functions wait, workers start, and the time is taken from the first body's begin until all are done."""

import time
from dataclasses import replace
from typing import ClassVar

from benchmarks.arena import Arena
from benchmarks.header import Header
from benchmarks.workloads.base import Column, Measurement, Size, Workload

RATE = Column(title="functions/s", more_is_better=True)

NOOP_FACTOR = 2

#: How long workers may take to begin, in seconds.
BEGIN = 20


def drain(arena: Arena, body: str, size: Size, processes: int = 1) -> Measurement:
    """Schedule, start workers and wait until they are done, or the time is up."""
    # Functions that do nothing are quick, and it takes more of them to see how quick.
    count = size.functions * (1 if "insert" in body else NOOP_FACTOR)
    # Not for longer than it takes to drain them: who is slow at scheduling is no quicker at executing.
    functions = arena.agent.ask("schedule_up_to", body=body, first=0, count=count, seconds=size.seconds * 2 / 3)
    return drain_scheduled(arena, functions, size.seconds, writes="insert" in body, processes=processes)


def drain_scheduled(
    arena: Arena, functions: int, seconds: float, *, writes: bool = False, processes: int = 1
) -> Measurement:
    """Start workers and wait until they have done so many functions, or the time is up.

    ``writes``: each writes an effect, and is done when that is committed.
    """
    before, effects_before = arena.journal.count(), arena.database.effects()
    with arena.workers(processes) as workers:
        arena.wait_until(
            lambda: arena.journal.count() > before, workers, seconds=BEGIN, what="its worker did not begin"
        )
        end = time.monotonic() + seconds
        while arena.journal.count() < before + functions and time.monotonic() < end:
            workers.check()
            time.sleep(0.005)
        while writes and arena.database.effects() < effects_before + functions and time.monotonic() < end:
            time.sleep(0.01)
        finished = time.time()
        effects = arena.database.effects() - effects_before
    starts = arena.journal.starts(before)
    done = effects if writes else len({start.job for start in starts})
    # Where nothing is written, the begin of the last body is all that can be seen.
    last = finished if writes or done < functions else starts[-1].time
    remark = "" if done >= functions else f"{done:,} of {functions:,} within {seconds:g} s"
    return Measurement(figures={RATE.title: done / (last - starts[0].time)}, remark=remark)


class Drain(Workload):
    """One drain."""

    columns = (RATE,)
    with_floors = True
    body: ClassVar[str]
    processes: ClassVar[int] = 1

    def measure(self, arena: Arena, size: Size) -> Measurement:
        return drain(arena, self.body, size, self.processes)


class DrainNoop(Drain):
    name = "drain-noop"
    title = "Drain: functions that do nothing, one process"
    explanation = "From the first body's begin to the last one's."
    body = "noop"


class DrainInsert(Drain):
    name = "drain-insert"
    title = "Drain: one ORM insert each, one process"
    explanation = "From the first body's begin until every insert is committed."
    body = "insert"


class DrainNoopTwice(DrainNoop):
    name = "drain-noop-2"
    title = "Drain: functions that do nothing, two processes"
    databases = ("postgresql",)
    processes = 2


class DrainInsertTwice(DrainInsert):
    name = "drain-insert-2"
    title = "Drain: one ORM insert each, two processes"
    databases = ("postgresql",)
    processes = 2


class DrainSQL(Workload):
    name = "drain-sql"
    title = "Drain: one insert in plain SQL each, one process"
    explanation = (
        "The same statement for all: through Django's cursor for django_scheduler and orm-floor, and through their own"
        " connections for those that have none with Django."
    )
    columns = (RATE,)
    databases = ("postgresql",)
    with_floors = True

    def takes_part(self, header: Header) -> bool:
        return header.name in {"ours", "orm-floor"} or not header.uses_django

    def measure(self, arena: Arena, size: Size) -> Measurement:
        # What the others insert is SQL in any case.
        return drain(arena, "insert_sql" if arena.header.uses_django else "insert", size)


class DrainActions(Workload):
    """Against the peers whose claim is a commit of its own."""

    columns = (RATE,)
    body: ClassVar[str]

    def takes_part(self, header: Header) -> bool:
        return header.claim > 0

    def measure(self, arena: Arena, size: Size) -> Measurement:
        # One by one they are slower.
        size = replace(size, functions=size.functions // 2)
        return drain(arena, f"{self.body}_action" if arena.header.has_actions else self.body, size)


class DrainActionsNoop(DrainActions):
    name = "actions-noop"
    title = "Drain: actions that do nothing, one process"
    explanation = (
        "From the first body's begin. Of the peers their ordinary jobs, and only of those that commit a claim before"
        " they execute it: of each job, or (dj-queue, steady-queue) of three at most. huey's claim deletes the job, and"
        " it records no end."
    )
    body = "noop"


class DrainActionsInsert(DrainActions):
    name = "actions-insert"
    title = "Drain: actions with one ORM insert each, one process"
    explanation = DrainActionsNoop.explanation
    body = "insert"
