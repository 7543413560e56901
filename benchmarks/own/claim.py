"""How long the server takes for what an executor asks it, in the situations that are known to make queues slow."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from benchmarks.arena import Arena, arena
from benchmarks.databases.postgresql import PostgreSQL, PostgreSQLCopy
from benchmarks.environments import Environment
from benchmarks.header import Header
from benchmarks.own.statements import Statement, statements
from benchmarks.report import markdown

FUNCTIONS = 500
TABLE = "django_scheduler_scheduledfunction"

#: How many statements are shown of each situation, and how much of each.
SHOWN, LENGTH = 4, 70


class Situation:
    """What else is in the table while an executor drains it."""

    def __init__(self, title: str, setting: Callable[[Arena, PostgreSQLCopy], AbstractContextManager[None]]) -> None:
        self.title = title
        self.setting = setting


def nothing_else(arena: Arena, database: PostgreSQLCopy) -> AbstractContextManager[None]:
    return nullcontext()


@contextmanager
def million_in_future(arena: Arena, database: PostgreSQLCopy) -> Iterator[None]:
    _fill(arena, database, 1_000_000)
    database.execute(f"UPDATE {TABLE} SET due_time = due_time + interval '30 days' WHERE id > 0")
    database.execute(f"VACUUM (FULL, ANALYZE) {TABLE}")
    yield


@contextmanager
def finished_under_snapshot(arena: Arena, database: PostgreSQLCopy) -> Iterator[None]:
    _fill(arena, database, 100_000)
    with database.snapshot():
        database.execute(
            f"UPDATE {TABLE} SET state = 'success', attempts = 1, completed_time = now() - interval '1 minute'"
        )
        yield


@contextmanager
def locked_at_head(arena: Arena, database: PostgreSQLCopy) -> Iterator[None]:
    _fill(arena, database, 10_000)
    with psycopg.connect(**database.parameters) as connection:
        connection.execute(f"SELECT count(*) FROM (SELECT id FROM {TABLE} FOR UPDATE) AS locked".encode())
        yield


@contextmanager
def many_lanes(arena: Arena, database: PostgreSQLCopy) -> Iterator[None]:
    _fill(arena, database, 100_000)
    database.execute(
        f"UPDATE {TABLE} SET queue = 'queue ' || id % 5, priority = id / 5 % 5,"
        " due_time = CASE WHEN id % 100 < 50 THEN due_time + interval '30 days' ELSE due_time END"
    )
    database.execute(f"VACUUM (FULL, ANALYZE) {TABLE}")
    yield


SITUATIONS = (
    Situation("Nothing else", nothing_else),
    Situation("1,000,000 functions are due in 30 days", million_in_future),
    Situation(
        "100,000 finished a minute ago, and a snapshot held open still sees them pending", finished_under_snapshot
    ),
    Situation("10,000 that are due before are locked by others", locked_at_head),
    Situation("100,000 in 5 queues of 5 priorities, half of them due", many_lanes),
)


def measure(header: Header, environment: Environment, server: PostgreSQL) -> str:
    """A table for each situation."""
    lines: list[str] = []
    for situation in SITUATIONS:
        print(situation.title, flush=True)
        with TemporaryDirectory() as directory, arena(header, environment, server, Path(directory)) as place:
            lines += [f"#### {situation.title}", "", *_table(_statements(place, situation, server)), ""]
    return "\n".join(lines)


def _statements(place: Arena, situation: Situation, server: PostgreSQL) -> list[Statement]:
    database = place.database
    assert isinstance(database, PostgreSQLCopy)
    with situation.setting(place, database):
        place.agent.ask("schedule_many", body="noop", first=0, count=FUNCTIONS)
        database.execute(f"ANALYZE {TABLE}")
        with server.logging(log_min_duration_statement="0") as log, place.workers() as workers:
            place.wait_until(
                lambda: place.journal.count() >= FUNCTIONS, workers, seconds=60, what="the executor did not execute all"
            )
    return statements(log, database.name)


def _fill(arena: Arena, database: PostgreSQLCopy, count: int) -> None:
    """Pending functions that are due since an hour."""
    arena.agent.ask("schedule_many", body="noop", first=-1, count=1)
    database.execute(f"UPDATE {TABLE} SET due_time = due_time - interval '1 hour'")
    database.multiply_rows(TABLE, "creation_time", count, ahead=-60)


def _table(found: list[Statement]) -> list[str]:
    rows = [["statement", "calls a function", "median ms", "p99 ms", "ms a function"]]
    asked = [statement for statement in found if TABLE in statement.text]
    rows += [
        [
            f"`{statement.text[:LENGTH]}...`",
            f"{statement.calls / FUNCTIONS:.2f}",
            f"{statement.median:.3f}",
            f"{statement.p99:.3f}",
            f"{statement.total / FUNCTIONS:.3f}",
        ]
        for statement in asked[:SHOWN]
    ]
    return markdown(rows)
