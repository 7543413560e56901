"""A look and a claim in several lanes enter the index of pending functions once for each, whatever the statistics say.

On PostgreSQL. Their plans are read as they are executed, and what they read is counted.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from django_scheduler import ctx
from django_scheduler.databases import TABLE, Wanted, database_for
from tests.databases.test_plans_by_id import indexes, no_autovacuum, plan, tell
from tests.functions import write
from tests.support.statements import statements_through

__all__ = ["no_autovacuum"]

pytestmark = [pytest.mark.only_on("postgresql"), pytest.mark.usefixtures("transactional_db", "no_autovacuum")]

QUEUES = 50

#: What the claim may read: for each queue its way through the index, its three functions, and what it locks of them.
MOST_BLOCKS = 20 * QUEUES


def fill(column: str) -> None:
    """Have three functions in each queue, or of each tenant, and a backlog of 50,000 in one of them."""
    ids = ctx.scheduler.run_after_many(0, write, [{"label": "x"}] * (3 * QUEUES))
    tell(
        f"UPDATE {TABLE} SET {column} = 'queue ' || id % {QUEUES} WHERE id BETWEEN {ids[0]} AND {ids[-1]}",
        f"UPDATE {TABLE} SET due_time = due_time - INTERVAL '1 hour' WHERE {column} = 'queue 7'",
    )
    columns = (
        "name, kind, args, queue, priority, tenant, scheduled_time, creation_time, attempts, failure, error, traceback,"
        " executor, state, due_time"
    )
    tell(
        f"INSERT INTO {TABLE} ({columns}) SELECT {columns} + number * INTERVAL '1 ms'"
        f" FROM {TABLE}, generate_series(1, 50000) AS number WHERE id = {ids[7]}"
    )


def with_fresh_statistics(column: str = "queue") -> None:
    tell(f"TRUNCATE {TABLE} RESTART IDENTITY")
    fill(column)
    tell(f"ANALYZE {TABLE}")


def with_statistics_of_an_empty_table(column: str = "queue") -> None:
    tell(f"TRUNCATE {TABLE} RESTART IDENTITY", f"ANALYZE {TABLE}")
    fill(column)


def with_statistics_of_what_has_ended(column: str = "queue") -> None:
    """The statistics are from when nothing was pending."""
    tell(f"TRUNCATE {TABLE} RESTART IDENTITY")
    fill(column)
    tell(f"UPDATE {TABLE} SET state = 'success'", f"ANALYZE {TABLE}", f"UPDATE {TABLE} SET state = 'pending'")


def statements_of(ask: Callable[[], object]) -> list[tuple[str, Any]]:
    noted: list[tuple[str, Any]] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if TABLE in sql:
            noted.append((sql, params))
        return execute(sql, params, many, context)

    with statements_through(note):
        ask()
    return noted


def rows_read(plan: Any) -> float:
    """Return how many rows were read of the table, also those that were dropped."""
    own = 0.0
    if plan.get("Relation Name") == TABLE:
        own = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return own + sum(map(rows_read, plan.get("Plans", [])))


@pytest.mark.parametrize("column", ["queue", "tenant"])
@pytest.mark.parametrize(
    "prepare", [with_fresh_statistics, with_statistics_of_an_empty_table, with_statistics_of_what_has_ended]
)
def test_only_the_first_functions_of_each_lane_are_read(prepare, column):
    prepare(column)
    database = database_for("default")
    lanes = sorted(database.lanes(), key=lambda lane: (lane.due_time, lane.first_id))
    assert len(lanes) == QUEUES

    def ask() -> None:
        with transaction.atomic():
            assert len(database.claim_in_several(lanes, Wanted(besides=[1]), most=100, of_each=2)) == 100
            assert len(database.claim_in_several(lanes, Wanted(), most=7, of_each=2)) == 7
            assert len(database.claim_in_several(lanes, Wanted(before=lanes[1]), most=100, of_each=2)) == 2
        assert len(database.look_again(lanes, besides=[1])) == QUEUES

    read = [(plan(sql, params), sql) for sql, params in statements_of(ask)]
    ((sql, params),) = statements_of(database.lanes)
    look = plan(sql, params)

    assert set(indexes(look)) == {"django_scheduler_pending"}
    assert rows_read(look) <= 2 * QUEUES
    assert [set(indexes(each)) for each, _ in read] == [{"django_scheduler_pending"}] * 4
    assert [rows_read(each) <= limit for (each, _), limit in zip(read, (103, 10, 3, QUEUES + 1), strict=True)] == [
        True
    ] * 4
    assert all(each["Shared Hit Blocks"] + each["Shared Read Blocks"] < MOST_BLOCKS for each, _ in read)


def test_what_has_ended_is_not_read_again_although_the_index_still_has_it():
    """A snapshot that is held open keeps the entries of functions that have ended since."""
    with_fresh_statistics()
    database = database_for("default")
    snapshot = connection.copy()
    try:
        snapshot.set_autocommit(False)
        with snapshot.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute(f"SELECT count(*) FROM {TABLE}")
        tell(
            f"UPDATE {TABLE} SET state = 'success' WHERE queue = 'queue 7' AND id NOT IN"
            f" (SELECT id FROM {TABLE} WHERE queue = 'queue 7' ORDER BY due_time DESC, id DESC LIMIT 10)"
        )
        lanes = sorted(database.lanes(), key=lambda lane: (lane.due_time, lane.first_id))

        def ask() -> None:
            with transaction.atomic():
                database.claim_in_several(lanes, Wanted(), most=100, of_each=2)
            database.look_again(lanes)

        read = [plan(sql, params) for sql, params in statements_of(ask)]
    finally:
        snapshot.close()

    assert all(each["Shared Hit Blocks"] + each["Shared Read Blocks"] < MOST_BLOCKS for each in read)
