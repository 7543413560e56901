"""How long functions take that have a rate limit, and how many of their bodies begin within its period."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.arena import Arena, arena
from benchmarks.databases.postgresql import PostgreSQL
from benchmarks.environments import Environment
from benchmarks.header import Header
from benchmarks.journal import Start
from benchmarks.report import markdown

#: As many begin within a second (see ``contenders/ours.py``), as many are due at once, and in as many processes.
A_SECOND, FUNCTIONS, PROCESSES = 10, 100, 4

#: Within how many seconds all of them are to begin.
TARGET = 11.0

BODIES = {"mutations": "noop_ten_a_second", "actions": "noop_action_ten_a_second"}


def measure(header: Header, environment: Environment, server: PostgreSQL) -> str:
    """Return the table."""
    rows = [[f"{FUNCTIONS} due, {A_SECOND} a second, {PROCESSES} processes", "s", "most within a second"]]
    for title, body in BODIES.items():
        with TemporaryDirectory() as directory, arena(header, environment, server, Path(directory)) as field:
            seconds, starts = starts_in(field, body)
        rows.append([title, f"{seconds:.2f}", str(most_within_a_second(starts))])
    return "\n".join([*markdown(rows), "", f"The targets are {TARGET:g} s, and {A_SECOND}."])


def starts_in(arena: Arena, body: str) -> tuple[float, list[Start]]:
    """Return how long it takes until the last one begins, in seconds, and when each has begun."""
    with arena.ready_workers(PROCESSES) as workers:
        before = arena.journal.count()
        began = time.time()
        arena.agent.ask("schedule_many", body=body, first=0, count=FUNCTIONS)
        arena.wait_until(
            lambda: arena.journal.count() >= before + FUNCTIONS, workers, seconds=60, what="not all of them began"
        )
    starts = arena.journal.starts(before)
    return starts[-1].time - began, starts


def most_within_a_second(starts: list[Start]) -> int:
    times = sorted(each.time for each in starts)
    return max(sum(first <= each < first + 1.0 for each in times) for first in times)
