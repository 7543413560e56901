"""Scheduling: beside a business row, and in bulk."""

from benchmarks.arena import Arena
from benchmarks.workloads.base import Column, Measurement, Size, Workload


class Schedule(Workload):
    name = "schedule"
    title = "Schedule one function beside a business row"
    explanation = (
        "A request's transaction: one row of the business and one function, committed; through the ORM for those that"
        " use Django, in plain SQL for the others. No worker runs. Who schedules after the transaction (see the"
        " remarks below) promises less."
    )
    columns = (
        Column(title="transactions/s", more_is_better=True),
        Column(title="ms each", decimals=2, more_is_better=False),
    )
    with_floors = True

    def measure(self, arena: Arena, size: Size) -> Measurement:
        arena.agent.ask("schedule_one_by_one", body="noop", first=0, count=20, seconds=5)  # connects
        count, seconds = arena.agent.ask(
            "schedule_one_by_one", body="noop", first=100, count=size.functions, seconds=size.seconds / 2
        )
        return Measurement(figures={"transactions/s": count / seconds, "ms each": seconds / count * 1000})


class ScheduleMany(Workload):
    name = "schedule-many"
    title = "Schedule many functions at once"
    explanation = "With the quickest API that there is; where there is none, one by one in one transaction if possible."
    columns = (Column(title="functions/s", more_is_better=True),)
    with_floors = True

    def measure(self, arena: Arena, size: Size) -> Measurement:
        arena.agent.ask("schedule_many", body="noop", first=0, count=20)  # connects
        seconds = arena.agent.ask("schedule_many", body="noop", first=100, count=size.functions)
        return Measurement(figures={"functions/s": size.functions / seconds})
