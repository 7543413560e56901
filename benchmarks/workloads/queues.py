"""A drain of many queues, each with a few functions."""

from benchmarks.arena import Arena
from benchmarks.workloads.base import Column, Measurement, Size, Workload
from benchmarks.workloads.drain import RATE, drain_scheduled

A_FEW, TWO = 3, 2


class Queues(Workload):
    name = "queues"
    title = "Drain of functions that do nothing, from many queues"
    explanation = (
        f"2,000 queues (in a quick run fewer) with {A_FEW} functions each, and as many functions in two queues; one"
        " worker takes all queues. Of django_scheduler mutations, and then actions."
    )
    columns = (
        Column(title="share that is left", decimals=2, more_is_better=True),
        RATE,
        Column(title="in two queues", more_is_better=True),
        Column(title="share of actions", decimals=2, more_is_better=True),
        Column(title="actions/s", more_is_better=True),
        Column(title="actions in two", more_is_better=True),
    )
    databases = ("postgresql",)

    def queues(self, size: Size) -> int:
        return size.queues

    def measure(self, arena: Arena, size: Size) -> Measurement:
        two, many, remark = self._rates(arena, size, "noop")
        figures = {"share that is left": many / two, RATE.title: many, "in two queues": two}
        if arena.header.has_actions:
            two, many, _ = self._rates(arena, size, "noop_action")
            figures |= {"share of actions": many / two, "actions/s": many, "actions in two": two}
        return Measurement(figures=figures, remark=remark)

    def _rates(self, arena: Arena, size: Size, body: str) -> tuple[float, float, str]:
        two = self._drain(arena, size, body, TWO)
        many = self._drain(arena, size, body, size.queues)
        return two.figures[RATE.title], many.figures[RATE.title], many.remark

    def _drain(self, arena: Arena, size: Size, body: str, queues: int) -> Measurement:
        functions = size.queues * A_FEW
        arena.agent.ask("schedule_in_queues", body=body, first=0, count=functions, queues=queues)
        measurement = drain_scheduled(arena, functions, size.seconds)
        arena.agent.ask("cancel_all")  # what was not executed in this time
        return measurement
