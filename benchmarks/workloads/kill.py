"""``kill -9`` in the middle of a drain, and a new worker at once."""

import time

from benchmarks.arena import Arena
from benchmarks.workloads.base import Column, Measurement, Size, Workload

FUNCTIONS = 200

#: How many rows the body writes.
EFFECTS = 2


class Kill(Workload):
    name = "kill"
    title = "kill -9 at a quarter of a drain, then a new worker"
    explanation = (
        f"{FUNCTIONS} functions that write a row, work for 20 ms and write another. Lost: it has not written both, and"
        " the queue does not know it any more. Doubled: it has written more than two. Stuck: the queue still holds it"
        " for unfinished, and nothing happens. Recovery: from the first function that the new worker begins until the"
        " last of the interrupted ones has begun again."
    )
    columns = (
        Column(title="wrong", more_is_better=False),
        Column(title="lost", more_is_better=False),
        Column(title="doubled", more_is_better=False),
        Column(title="stuck", more_is_better=False),
        Column(title="recovery s", decimals=1, more_is_better=False),
    )

    most_rounds = 1

    def measure(self, arena: Arena, size: Size) -> Measurement:
        arena.agent.ask("schedule_many", body="insert_twice", first=0, count=FUNCTIONS)
        with arena.workers() as workers:
            arena.wait_until(
                lambda: arena.journal.count() >= FUNCTIONS // 4,
                workers,
                seconds=30,
                what="its worker did not come to a quarter",
            )
            workers.kill()
            before = arena.journal.count()
            workers.start()
            _wait_until_nothing_happens(arena, size.recovery_seconds)
            stuck = arena.agent.ask("unfinished")
        effects = arena.database.effects_by_job()
        incomplete = sum(effects.get(job, 0) < EFFECTS for job in range(FUNCTIONS))
        lost = max(0, incomplete - stuck)
        doubled = sum(count > EFFECTS for count in effects.values())
        figures = {"wrong": lost + doubled + stuck, "lost": lost, "doubled": doubled, "stuck": stuck}
        starts = arena.journal.starts()
        begun = {start.job for start in starts[:before]}
        again = [start.time for start in starts[before:] if start.job in begun]
        if again:
            figures["recovery s"] = again[-1] - starts[before].time
        remark = f"{len(again)} interrupted functions began again"
        return Measurement(
            figures=figures, remark=f"{remark}; nothing happened for {size.recovery_seconds:g} s" if stuck else remark
        )


def _wait_until_nothing_happens(arena: Arena, patience: float) -> None:
    """Wait until everything is finished, or nothing has begun for so long."""
    count, since = arena.journal.count(), time.monotonic()
    while arena.agent.ask("unfinished") and time.monotonic() - since < patience:
        time.sleep(0.1)
        if (now := arena.journal.count()) != count:
            count, since = now, time.monotonic()
