"""A slot that somebody takes after it was read as free, and before it is locked, is passed over.

On PostgreSQL. Whoever reads is held up in the middle of the statement, after its snapshot.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from django_scheduler import ctx
from django_scheduler.databases import TABLE, WantedSlots, database_for
from tests.limits import functions
from tests.support.statements import statements_through

pytestmark = [pytest.mark.only_on("postgresql"), pytest.mark.usefixtures("transactional_db")]

LIMIT = WantedSlots("two [7]", "two", 2, 1)
RATE = WantedSlots("two rate [7]", "two rate", 2, 1, window=timedelta(hours=1))

#: Of the lock by which the test holds up a statement.
BARRIER = 15


@pytest.fixture
def function_ids(transactional_db) -> list[int]:
    """Two actions; there is only one slot."""
    database_for("default").add_slots([(LIMIT.limit, 0)])
    arguments = [{"account": 7, "ledger": ""}] * 2
    return list(ctx.scheduler.run_after_many(0, functions.send_two, arguments))


def in_two_steps(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
    """Have a statement wait for the test once it has its snapshot, and before it locks a slot."""
    barrier = f"(SELECT pg_advisory_xact_lock({BARRIER}))::text IS NOT NULL"
    for where in (" WHERE holder_id IS NULL", " WHERE place <= "):
        sql = sql.replace(where, where.replace(" WHERE", f" WHERE {barrier} AND"), 1)
    return execute(sql, *arguments)


def begin(function_id: int) -> bool:
    """Take a slot and record that the action is in progress, as executors do."""
    with transaction.atomic():
        is_taken = bool(database_for("default").take_slot(LIMIT, function_id, 1, "executor"))
        if is_taken:
            tell(f"UPDATE {TABLE} SET state = 'in_progress', attempts = 1 WHERE id = {function_id}")
    return is_taken


def begin_in_two_steps(function_id: int) -> bool:
    with statements_through(in_two_steps):
        return begin(function_id)


def lock_in_two_steps() -> bool:
    with statements_through(in_two_steps), transaction.atomic():
        return bool(database_for("default").lock_slots([LIMIT], []))


def tell(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.parametrize("is_action", [True, False], ids=["action", "mutation"])
@pytest.mark.parametrize("is_taken_meanwhile", [True, False], ids=["taken", "free"])
def test_slot_that_is_taken_after_the_look_is_passed_over(session, function_ids, is_action, is_taken_meanwhile):
    first, second = function_ids
    tell(f"SELECT pg_advisory_lock({BARRIER})")
    late = session.begin(begin_in_two_steps, second) if is_action else session.begin(lock_in_two_steps)
    session.wait_until_it_waits()
    if is_taken_meanwhile:
        assert begin(first)
    tell(f"SELECT pg_advisory_unlock({BARRIER})")
    assert late.result(20) != is_taken_meanwhile


def start() -> bool:
    return bool(database_for("default").take_rate_slots([RATE]))


def start_in_two_steps() -> bool:
    with statements_through(in_two_steps):
        return start()


@pytest.mark.parametrize("is_taken_meanwhile", [True, False], ids=["taken", "free"])
def test_slot_of_a_rate_limit_that_is_taken_after_the_look_is_passed_over(session, is_taken_meanwhile):
    database_for("default").add_slots([(RATE.limit, 0)])
    tell(f"SELECT pg_advisory_lock({BARRIER})")
    late = session.begin(start_in_two_steps)
    session.wait_until_it_waits()
    if is_taken_meanwhile:
        assert start()
    tell(f"SELECT pg_advisory_unlock({BARRIER})")
    assert late.result(20) != is_taken_meanwhile
