"""Whether an executor grows."""

import time
from statistics import linear_regression

from benchmarks.arena import Arena
from benchmarks.errors import TooSlow
from benchmarks.header import Header
from benchmarks.workloads.base import Column, Measurement, Size, Workload

#: How many functions are scheduled at a time; a hundredth of them are actions.
AT_A_TIME, ACTIONS = 10_000, 100

#: How often the memory is looked at, in seconds.
INTERVAL = 0.2

#: What is used in the first tenth is not growth: threads and connections are made, and caches filled.
WARM_UP = 0.1

#: Flat is what grows by no more in the whole run, in MiB: a twentieth of an executor.
FLAT = 4

MIB = 1024 * 1024


class Memory(Workload):
    name = "memory"
    title = "Memory of an executor over 1,000,000 functions"
    explanation = (
        "The resident memory of the worker's largest process while it executes functions that do nothing, a hundredth"
        " of them actions (in a quick run 20,000 functions). Growth is the slope of a straight line through all but the"
        " first tenth."
    )
    columns = (
        Column(title="growth in MiB", decimals=2, more_is_better=False),
        Column(title="first MiB", decimals=1),
        Column(title="last MiB", decimals=1),
        Column(title="peak MiB", decimals=1),
    )
    databases = ("postgresql",)
    most_rounds = 1
    limit = 900

    def takes_part(self, header: Header) -> bool:
        return header.has_actions

    def measure(self, arena: Arena, size: Size) -> Measurement:
        functions = size.memory_functions
        executed: list[int] = []
        memory: list[float] = []
        scheduled = 0
        progress = time.monotonic()
        with arena.ready_workers() as workers:
            before = arena.journal.count()
            while (done := arena.journal.count() - before) < functions:
                workers.check()
                if executed and done > executed[-1]:
                    progress = time.monotonic()
                elif time.monotonic() > progress + 10:
                    raise TooSlow(f"after {done:,} functions nothing happened for 10 s")
                executed.append(done)
                memory.append(workers.memory() / MIB)
                if scheduled < functions and scheduled - done < AT_A_TIME:
                    arena.agent.ask("schedule_many", body="noop_action", first=0, count=ACTIONS)
                    arena.agent.ask("schedule_many", body="noop", first=0, count=AT_A_TIME - ACTIONS)
                    scheduled += AT_A_TIME
                else:
                    time.sleep(INTERVAL)
        warm = next(number for number, done in enumerate(executed) if done >= functions * WARM_UP)
        growth = linear_regression(executed[warm:], memory[warm:]).slope * functions
        verdict = "flat" if growth <= FLAT else "it grows"
        return Measurement(
            figures={
                "growth in MiB": growth,
                "first MiB": memory[warm],
                "last MiB": memory[-1],
                "peak MiB": max(memory),
            },
            remark=f"{verdict}: {len(memory):,} samples",
        )
