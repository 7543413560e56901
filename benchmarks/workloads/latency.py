"""How soon an idle worker begins: at once after a commit, and when a function's time has come."""

import random
import time

from benchmarks.arena import Arena
from benchmarks.workloads.base import Measurement, Size, Workload
from benchmarks.workloads.percentiles import PERCENTILES, percentiles

#: How long a worker may take to begin one function, in seconds.
PATIENCE = 5.0

#: How long all of them may take, in seconds.
LIMIT = 6.0


def latencies(arena: Arena, samples: int) -> list[float]:
    """From commit to the body's begin, in seconds, of one function after the other."""
    measured: list[float] = []
    with arena.ready_workers() as workers:
        deadline = time.monotonic() + LIMIT
        while len(measured) < samples and time.monotonic() < deadline:
            before = arena.journal.count()
            committed = arena.agent.ask("schedule", body="noop", job=len(measured))
            arena.wait_until(
                lambda before=before: arena.journal.count() > before,  # type: ignore[misc]
                workers,
                seconds=PATIENCE,
                what="its worker did not begin",
            )
            measured.append(max(0.0, arena.journal.starts(before)[0].time - committed))
            time.sleep(random.uniform(0.01, 0.05))
    return measured


class Latency(Workload):
    name = "latency"
    title = "Commit to start, idle worker"
    explanation = "From the moment at which COMMIT has returned until the body begins; one function at a time."
    columns = PERCENTILES

    def measure(self, arena: Arena, size: Size) -> Measurement:
        measured = latencies(arena, size.samples)
        return Measurement(figures=percentiles(measured), remark=f"{len(measured)} functions")


class Lateness(Workload):
    name = "lateness"
    title = "Lateness of functions due later, idle worker"
    explanation = "From a function's time until its body begins; the times lie one to five seconds ahead."
    columns = PERCENTILES
    databases = ("postgresql",)

    def measure(self, arena: Arena, size: Size) -> Measurement:
        with arena.ready_workers() as workers:
            before = arena.journal.count()
            now = time.time()
            due = [now + random.uniform(1.5, 5.5) for _ in range(min(size.samples, 100))]
            arena.agent.ask("schedule_at", body="noop", first=0, times=due)
            end = max(due) + PATIENCE
            while arena.journal.count() < before + len(due) and time.time() < end:
                workers.check()
                time.sleep(0.02)
            began = {start.job: start.time for start in arena.journal.starts(before)}
        missing = len(due) - len(began)
        lateness = [max(0.0, began.get(job, end) - when) for job, when in enumerate(due)]
        remark = f"{missing} of {len(due)} had not begun after {PATIENCE:g} s" if missing else ""
        return Measurement(figures=percentiles(lateness), remark=remark)
