"""The drain: functions wait, workers start, and the time is taken from the first body's begin until all are done."""

import time

from benchmarks.arena import Arena
from benchmarks.workloads.base import Column, Measurement, Size, Workload

RATE = Column(title="functions/s", more_is_better=True)

NOOP_FACTOR = 4

#: How long workers may take to begin, in seconds.
BEGIN = 20


def drain(arena: Arena, body: str, size: Size, processes: int = 1) -> Measurement:
    """Schedule, start workers and wait until they are done, or the time is up."""
    # Functions that do nothing are quick, and it takes more of them to see how quick.
    functions = size.functions * (NOOP_FACTOR if body == "noop" else 1)
    writes = body == "insert"
    before = arena.journal.count()
    arena.agent.ask("schedule_many", body=body, first=0, count=functions)
    with arena.workers(processes) as workers:
        arena.wait_until(
            lambda: arena.journal.count() > before, workers, seconds=BEGIN, what="its worker did not begin"
        )
        end = time.monotonic() + size.seconds
        while arena.journal.count() < before + functions and time.monotonic() < end:
            workers.check()
            time.sleep(0.005)
        while writes and arena.database.effects() < functions and time.monotonic() < end:
            time.sleep(0.01)
        finished = time.time()
        effects = arena.database.effects()
    starts = arena.journal.starts(before)
    done = effects if writes else len({start.job for start in starts})
    # Where nothing is written, the begin of the last body is all that can be seen.
    last = finished if writes or done < functions else starts[-1].time
    remark = "" if done >= functions else f"{done:,} of {functions:,} within {size.seconds:g} s"
    return Measurement(figures={RATE.title: done / (last - starts[0].time)}, remark=remark)


class DrainNoop(Workload):
    name = "drain-noop"
    title = "Drain: functions that do nothing, one process"
    explanation = "From the first body's begin to the last one's."
    columns = (RATE,)
    with_floors = True

    def measure(self, arena: Arena, size: Size) -> Measurement:
        return drain(arena, "noop", size)


class DrainInsert(Workload):
    name = "drain-insert"
    title = "Drain: one ORM insert each, one process"
    explanation = "From the first body's begin until every insert is committed."
    columns = (RATE,)
    with_floors = True

    def measure(self, arena: Arena, size: Size) -> Measurement:
        return drain(arena, "insert", size)


class DrainNoopTwice(Workload):
    name = "drain-noop-2"
    title = "Drain: functions that do nothing, two processes"
    explanation = DrainNoop.explanation
    columns = (RATE,)
    databases = ("postgresql",)
    with_floors = True

    def measure(self, arena: Arena, size: Size) -> Measurement:
        return drain(arena, "noop", size, processes=2)


class DrainInsertTwice(Workload):
    name = "drain-insert-2"
    title = "Drain: one ORM insert each, two processes"
    explanation = DrainInsert.explanation
    columns = (RATE,)
    databases = ("postgresql",)
    with_floors = True

    def measure(self, arena: Arena, size: Size) -> Measurement:
        return drain(arena, "insert", size, processes=2)
