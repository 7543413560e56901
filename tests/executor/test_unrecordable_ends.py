"""What a body has made of its session, and what the database refuses, loses no end and holds nobody up."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.models import Failure, ScheduledFunction, State
from tests.functions import note, note_and_raise, write, write_and_raise
from tests.models import Entry
from tests.support.in_process import executing
from tests.support.records import record
from tests.support.statements import failing
from tests.support.waiting import wait_until

REFUSED = IntegrityError("a trigger says no")


def execute_sql(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def leave_wrapper(error: BaseException) -> None:
    def refuse(execute: Any, sql: str, *arguments: Any) -> Any:
        if sql.startswith("UPDATE django_scheduler_scheduledfunction"):
            raise error
        return execute(sql, *arguments)

    connection.execute_wrappers.append(refuse)


#: What a body does to its session, after which it can record nothing.
EVERYWHERE: dict[str, Callable[[], None]] = {"a wrapper": lambda: leave_wrapper(ValueError("not on my watch"))}
BY_SQL = {
    "postgresql": [
        "SET search_path TO pg_catalog",
        "SET SESSION search_path TO pg_catalog",
        "SET ROLE pg_monitor",
        "SET default_transaction_read_only TO on",
        "SET TRANSACTION READ ONLY",
        "SET SESSION AUTHORIZATION pg_monitor",
    ],
    "mysql": ["USE information_schema", "USE mysql", "SET SESSION TRANSACTION READ ONLY"],
    "sqlite": ["PRAGMA query_only = ON"],
}
WAYS = [*EVERYWHERE, *BY_SQL[connection.vendor]]
#: Of these, what concerns only what comes after this transaction.
LATER = {"SET default_transaction_read_only TO on", "SET SESSION TRANSACTION READ ONLY"}


def break_session(way: str) -> None:
    if way in EVERYWHERE:
        EVERYWHERE[way]()
    else:
        execute_sql(way)


@mutation(alone=True)
def break_the_session(ctx: Context, *, way: str, raises: bool) -> None:
    Entry.objects.create(label=way)
    break_session(way)
    if raises:
        raise ValueError("no")


@action
def break_the_session_of_an_action(ctx: Context, *, way: str, raises: bool) -> str:
    if way != "SET TRANSACTION READ ONLY":  # outside of a transaction it means nothing
        break_session(way)
    if raises:
        raise ValueError("no")
    return way


@pytest.mark.parametrize("way", WAYS)
def test_mutation_whose_session_cannot_record_its_success_fails_in_plain_words(execute_due, way):
    function_id = ctx.scheduler.run_after(0, break_the_session, way=way, raises=False)
    other_id = ctx.scheduler.run_after(0, write, label="other")

    execute_due()

    row = record(function_id)
    if way in LATER:
        assert row.state == State.SUCCESS
    else:
        assert (row.state, row.failure, row.attempts) == (State.FAILED, Failure.ERROR, 1)
        assert row.error.startswith("BrokenTransaction: tests:break_the_session: the body returned, but its session")
        assert not Entry.objects.filter(label=way).exists()
    assert record(other_id).state == State.SUCCESS


@pytest.mark.parametrize("way", WAYS)
def test_error_of_a_mutation_that_broke_its_session_is_recorded(execute_due, way):
    function_id = ctx.scheduler.run_after(0, break_the_session, way=way, raises=True)
    other_id = ctx.scheduler.run_after(0, write, label="other")

    execute_due()

    row = record(function_id)
    assert (row.state, row.attempts, row.error) == (State.FAILED, 1, "ValueError: no")
    assert record(other_id).state == State.SUCCESS
    assert [entry.label for entry in Entry.objects.all()] == ["other"]


@pytest.mark.parametrize("raises", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_end_of_an_action_that_broke_its_session_is_recorded(execute_due, way, raises):
    function_id = ctx.scheduler.run_after(0, break_the_session_of_an_action, way=way, raises=raises)
    other_id = ctx.scheduler.run_after(0, write, label="other")

    execute_due()

    row = record(function_id)
    if raises:
        assert (row.state, row.error) == (State.FAILED, "ValueError: no")
    else:
        assert (row.state, row.decoded_result()) == (State.SUCCESS, way)
    assert record(other_id).state == State.SUCCESS


def recording(*states: State) -> Callable[[str, Any], bool]:
    """Statements that record one of these states, or, for ``PENDING``, a retry."""

    def matches(sql: str, params: Any) -> bool:
        if not sql.startswith("UPDATE django_scheduler_scheduledfunction"):
            return False
        return (params[0] if "SET state" in sql else State.PENDING) in states

    return matches


def test_mutation_whose_failure_the_database_refuses_is_put_off_on_record(execute_due, caplog):
    function_id = ctx.scheduler.run_after(0, write_and_raise, label="refused")
    other_id = ctx.scheduler.run_after(0, write, label="other")
    before = record(function_id)

    with failing(recording(State.FAILED), REFUSED):
        execute_due()

    row = record(function_id)
    assert row.state == State.PENDING
    assert row.attempts >= 1  # it may have been due again before the worker ended
    assert row.error.startswith("It has failed, but the database refused to record that")
    assert "a trigger says no" in row.error
    assert row.due_time > before.due_time
    assert record(other_id).state == State.SUCCESS
    assert f"tests:write_and_raise {function_id}: it has failed, but the database refused" in caplog.text


def test_what_the_database_refuses_to_record_at_all_is_passed_over(transactional_db, caplog):
    ids = [ctx.scheduler.run_after(0, write_and_raise, label="refused") for _ in range(4)]

    with failing(recording(State.FAILED, State.PENDING), REFUSED) as refused, executing(concurrency=2):
        others = ctx.scheduler.run_after_many(0, write, [{"label": "other"}] * 20)
        succeeded = ScheduledFunction.objects.filter(pk__in=others, state=State.SUCCESS)
        wait_until(lambda: succeeded.count() == 20, "all others succeeded")

    assert {(record(function_id).state, record(function_id).attempts) for function_id in ids} == {(State.PENDING, 0)}
    assert len(refused) < 200
    assert f"tests:write_and_raise {ids[0]}: how it ended could not be recorded" in caplog.text


def test_what_was_passed_over_is_executed_again_by_itself(transactional_db, settings):
    function_id = ctx.scheduler.run_after(0, write_and_raise, label="refused")

    with failing(recording(State.FAILED, State.PENDING), REFUSED, times=8), executing(concurrency=1):
        wait_until(lambda: record(function_id).state == State.FAILED, "it failed")

    assert record(function_id).attempts == 1


def test_description_that_the_database_refuses_is_replaced_by_plain_words(execute_due):
    def is_described(sql: str, params: Any) -> bool:
        return any("not today" in str(each) for each in params or ())

    function_id = ctx.scheduler.run_after(0, write_and_raise, label="not today")
    action_id = ctx.scheduler.run_after(0, note_and_raise, label="not today")

    with failing(lambda sql, params: sql.startswith("UPDATE") and is_described(sql, params), REFUSED):
        execute_due()

    for each in (function_id, action_id):
        row = record(each)
        assert (row.state, row.failure, row.attempts) == (State.FAILED, Failure.ERROR, 1)
        assert row.error.startswith("It is not described here")


def test_action_whose_end_the_database_refuses_keeps_no_worker_and_is_recorded_in_the_end(transactional_db, caplog):
    ids = [ctx.scheduler.run_after(0, note, label="refused") for _ in range(2)]
    refuses = threading.Event()
    refuses.set()

    def matches(sql: str, params: Any) -> bool:
        return refuses.is_set() and recording(State.SUCCESS)(sql, params) and State.IN_PROGRESS in params[1:]

    with failing(matches, REFUSED), executing(concurrency=2):
        other_id = ctx.scheduler.run_after(0, write, label="other")
        wait_until(lambda: record(other_id).state == State.SUCCESS, "the other one succeeded")
        wait_until(lambda: caplog.text.count("It is tried again and again") == 2, "both were refused")
        refuses.clear()
        wait_until(lambda: {record(each).state for each in ids} == {State.SUCCESS}, "both ended")

    assert Entry.objects.filter(label="refused").count() == 2


def test_session_that_is_gone_when_an_end_is_recorded_is_replaced_at_once(execute_due):
    function_id = ctx.scheduler.run_after(0, write_and_raise, label="x")

    with failing(recording(State.FAILED), OperationalError(2013, "lost"), times=1):
        execute_due()

    assert (record(function_id).state, record(function_id).attempts) == (State.FAILED, 1)
