"""What an old snapshot does to a queue: it keeps the index entries of what is no longer pending."""

from collections.abc import Mapping

from benchmarks.arena import Arena
from benchmarks.header import Header
from benchmarks.workloads.base import Column, Measurement, Size, Workload
from benchmarks.workloads.drain import RATE, drain_scheduled
from benchmarks.workloads.latency import latencies
from benchmarks.workloads.percentiles import percentiles

MUTATIONS, ACTIONS, LATENCY = "mutations/s", "actions/s", "p50 ms"

#: How long one of its drains may take, in seconds.
LIMIT = 15


class HeldSnapshot(Workload):
    name = "snapshot"
    title = "A snapshot held open, which still sees 150,000 functions pending"
    explanation = (
        "Drains of functions that do nothing, and the time from commit to start: first after 150,000 functions (in a"
        " quick run fewer) were canceled that an open transaction of somebody else still sees waiting, so that their"
        " index entries cannot be removed; then without that transaction, after a VACUUM. So as many rows are on record"
        " both times, which by themselves cost a tenth of the mutations."
    )
    columns = (
        Column(title="share of mutations", decimals=2, more_is_better=True),
        Column(title="share of actions", decimals=2, more_is_better=True),
        Column(title="times as late", decimals=2, more_is_better=False),
        Column(title=MUTATIONS, more_is_better=True),
        Column(title=ACTIONS, more_is_better=True),
        Column(title=LATENCY, decimals=1, more_is_better=False),
    )
    databases = ("postgresql",)

    def takes_part(self, header: Header) -> bool:
        return header.has_actions

    def measure(self, arena: Arena, size: Size) -> Measurement:
        arena.agent.ask("schedule_up_to", body="noop", first=0, count=size.dead_rows, seconds=60)
        with arena.database.snapshot():
            arena.agent.ask("cancel_all")
            beside = self._figures(arena, size)
        without = self._figures(arena, size)
        shares = {
            "share of mutations": beside[MUTATIONS] / without[MUTATIONS],
            "share of actions": beside[ACTIONS] / without[ACTIONS],
            "times as late": beside[LATENCY] / without[LATENCY],
        }
        return Measurement(figures={**shares, **beside})

    def _figures(self, arena: Arena, size: Size) -> Mapping[str, float]:
        figures = {}
        for title, body, functions in (
            (MUTATIONS, "noop", 2 * size.functions),
            (ACTIONS, "noop_action", size.functions // 4),
        ):
            arena.agent.ask("schedule_many", body=body, first=0, count=functions)
            figures[title] = drain_scheduled(arena, functions, LIMIT).figures[RATE.title]
            arena.agent.ask("cancel_all")  # what was not executed in this time
        return {**figures, LATENCY: percentiles(latencies(arena, size.samples))[LATENCY]}
