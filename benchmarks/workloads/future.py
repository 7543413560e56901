"""A drain while a great many functions wait that are due later."""

import time

from benchmarks.arena import Arena
from benchmarks.contender import NotSupported
from benchmarks.workloads.base import Column, Measurement, Size, Workload
from benchmarks.workloads.drain import RATE, drain

FAR_AWAY = 30 * 24 * 60 * 60


class Future(Workload):
    name = "future"
    title = "Drain of functions that do nothing, while many others wait for a time in the future"
    explanation = (
        "The same drain twice: first nothing else waits, then a million functions (in a quick run fewer) that are due"
        " in 30 days and later."
    )
    columns = (
        RATE,
        Column(title="without them", more_is_better=True),
        Column(title="share that is left", decimals=2, more_is_better=True),
    )
    databases = ("postgresql",)

    most_rounds = 1

    def measure(self, arena: Arena, size: Size) -> Measurement:
        if not arena.header.future_table:
            raise NotSupported("what is due later does not wait in a table of its own row by row")
        # Before the first drain: some move it to where it waits only when a worker has seen it.
        arena.agent.ask("schedule_at", body="noop", first=0, times=[time.time() + FAR_AWAY])
        without = drain(arena, "noop", size)
        header = arena.header
        arena.database.multiply_rows(header.future_table, header.due_column, size.future_rows, ahead=FAR_AWAY / 2)
        with_them = drain(arena, "noop", size)
        rate, before = with_them.figures[RATE.title], without.figures[RATE.title]
        return Measurement(
            figures={RATE.title: rate, "without them": before, "share that is left": rate / before},
            remark=with_them.remark,
        )
