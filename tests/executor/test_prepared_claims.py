"""On PostgreSQL one function is claimed by a prepared statement, and what is due later a moment before its time."""

import logging
import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.db.models import F
from freezegun import freeze_time

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.databases import Claimable, Lane, Wanted, database_for, django_internals
from django_scheduler.databases.postgresql import prepared_claims
from django_scheduler.models import ScheduledFunction, ScheduledFunctionId, State
from tests.executor.protocol import protocol_of_worker
from tests.executor.test_named_functions import (
    CLAIM_ONE_AND_EXECUTE,
    PREPARE,
    do_nothing_much,
    send_an_email,
    wait_for_success,
    wait_until_idle,
    worker_in_a_thread,
)
from tests.support.in_process import executing
from tests.support.records import record
from tests.support.statements import statements_through
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.only_on("postgresql"), pytest.mark.django_db(transaction=True)]


@mutation
def execute_in_its_session(ctx: Context, *, sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@action
def act_when_due(ctx: Context) -> None: ...


@pytest.fixture(autouse=True)
def _no_poll(settings):
    settings.DJANGO_SCHEDULER = {"POLL_INTERVAL": timedelta(hours=1)}


@pytest.fixture(autouse=True)
def _no_claim_is_long(monkeypatch):
    monkeypatch.setattr(prepared_claims, "LONG_CLAIM", math.inf)  # as it may be on a busy machine


@contextmanager
def claiming(lane: Lane) -> Iterator[Claimable | None]:
    """Claim the first function of a lane whose time has just come, or is about to."""
    database = database_for("default")
    connection.ensure_connection()
    assert database.expect_claim() > 0.0
    with transaction.atomic():
        yield next(iter(database.claim(replace(lane, only_first=True), Wanted(), most=1)), None)


def only_lane() -> Lane:
    (lane,) = database_for("default").lanes()
    return lane


def state_of(function_id: ScheduledFunctionId) -> State:
    return State(record(function_id).state)


def test_claim_of_what_is_due_later_says_what_follows_in_its_lane():
    first, second = (ctx.scheduler.run_after(delay, do_nothing_much) for delay in (0, 3_600_000))
    ctx.scheduler.run_after(0, send_an_email)
    lane = next(each for each in database_for("default").lanes() if each.first_id == first)

    with claiming(lane) as claimed:
        assert claimed is not None
        assert claimed.id == first
        assert claimed.followers is not None
        (follower,) = claimed.followers
    assert (follower.first_id, follower.queue, follower.priority) == (second, lane.queue, lane.priority)
    assert 0 < follower.due_in <= 3600
    assert follower.due_time == record(second).due_time


def test_claim_of_the_last_one_of_a_lane_says_that_nothing_follows():
    ctx.scheduler.run_after(0, do_nothing_much)
    with claiming(only_lane()) as claimed:
        assert claimed is not None
        assert claimed.followers == ()


def test_nothing_is_claimed_before_its_time_however_close_that_is():
    database = database_for("default")
    claims: list[Claimable] = []
    while len(claims) < 20:
        ScheduledFunction.objects.all().delete()
        function_id = ctx.scheduler.run_after(random.uniform(1, 6), do_nothing_much)
        with claiming(only_lane()) as claimed:
            if claimed is not None:
                due_time = record(function_id).due_time
                assert database.instant(claimed.claim_time) >= due_time
                assert database.current_time() >= due_time
                claims.append(claimed)


def test_what_follows_begins_in_time_although_pythons_clock_is_another_one():
    """Libraries that do that do it in some frames only, so the times of two frames are not to be compared."""
    with worker_in_a_thread() as worker:
        wait_until_idle(worker)
        with freeze_time("2030-01-01", tick=True):  # ticks, so that waiting ends
            with transaction.atomic():
                functions = [ctx.scheduler.run_after(delay, do_nothing_much) for delay in (700, 800, 900)]
            for function_id in functions:
                wait_for_success(function_id)


def test_what_is_far_from_due_is_not_claimed():
    ctx.scheduler.run_after(60_000, do_nothing_much)
    with claiming(only_lane()) as claimed:
        assert claimed is None


@pytest.mark.parametrize("function", [do_nothing_much, act_when_due])
def test_functions_that_are_due_later_one_after_the_other_need_no_look_in_between(tmp_path, function):
    expected = CLAIM_ONE_AND_EXECUTE * 3 if function is do_nothing_much else [*CLAIM_ONE_AND_EXECUTE, "UPDATE"] * 3
    seen: list[list[str]] = []
    with protocol_of_worker(tmp_path / "protocol") as protocol, worker_in_a_thread() as worker:
        wait_until_idle(worker)

        def is_as_expected() -> bool:
            before = len(protocol.statements)
            with transaction.atomic():
                ids = [ctx.scheduler.run_after(delay, function) for delay in (150, 200, 250)]
            for function_id in ids:
                wait_for_success(function_id)
            assert not ScheduledFunction.objects.filter(pk__in=ids, started_time__lt=F("due_time")).exists()
            seen.append([each for each in protocol.statements[before:] if each not in PREPARE])
            # The machine may have been too busy to look before the first one was due.
            return seen[-1] == ["WITH", *expected]

        wait_until(is_as_expected, f"it claimed without a look, and not {seen}")


def test_functions_with_the_same_time_are_all_executed_on_time():
    with executing(concurrency=2):
        with transaction.atomic():
            ids = [ctx.scheduler.run_after(200, do_nothing_much) for _ in range(50)]
            ids += [ctx.scheduler.run_after(200, send_an_email) for _ in range(5)]
        for function_id in ids:
            wait_for_success(function_id)
    assert not ScheduledFunction.objects.filter(started_time__lt=F("due_time")).exists()


def test_function_that_was_canceled_before_its_time_does_not_keep_the_next_one(caplog):
    caplog.set_level(logging.WARNING, "django_scheduler")
    with worker_in_a_thread() as worker:
        wait_until_idle(worker)
        with transaction.atomic():
            canceled, next_one = (ctx.scheduler.run_after(delay, do_nothing_much) for delay in (200, 210))
        ctx.scheduler.cancel(canceled)
        wait_for_success(next_one)
    assert state_of(canceled) == State.CANCELED
    assert caplog.text == ""


def test_function_that_is_scheduled_for_an_earlier_time_comes_first():
    with worker_in_a_thread() as worker:
        wait_until_idle(worker)
        later = ctx.scheduler.run_after(timedelta(hours=1), do_nothing_much)
        earlier = ctx.scheduler.run_after(200, do_nothing_much)
        at_once = ctx.scheduler.run_after(0, do_nothing_much)
        for function_id in (earlier, at_once):
            wait_for_success(function_id)
    assert state_of(later) == State.PENDING
    assert not ScheduledFunction.objects.filter(started_time__lt=F("due_time")).exists()


def test_claim_that_takes_long_is_prepared_anew(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, "django_scheduler")
    monkeypatch.setattr(prepared_claims, "LONG_CLAIM", 0.0)
    with protocol_of_worker(tmp_path / "protocol") as protocol, worker_in_a_thread() as worker:
        wait_until_idle(worker)
        for _ in range(3):
            wait_for_success(ctx.scheduler.run_after(0, do_nothing_much))
            wait_until(lambda: protocol.statements[-1] == "DEALLOCATE", "it prepared anew")
    statements = [each for each in protocol.statements if each in ("EXECUTE", "DEALLOCATE")]
    assert statements == ["EXECUTE", "DEALLOCATE"] * 3
    assert caplog.text == ""


def test_plan_that_was_made_for_a_small_table_does_not_last(monkeypatch):
    """The server keeps a plan until it has new statistics."""
    table = ScheduledFunction._meta.db_table
    database = database_for("default")

    def plan() -> str:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN EXECUTE {prepared_claims.CLAIM} (7, 'default')")
            return "\n".join(row[0] for row in cursor.fetchall())

    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
        cursor.execute(f"TRUNCATE {table}")  # its rows are gone, but perhaps not its pages
    try:
        ctx.scheduler.run_after(0, do_nothing_much)
        with connection.cursor() as cursor:
            cursor.execute(f"VACUUM ANALYZE {table}")
        with claiming(only_lane()):
            assert f"Seq Scan on {table}" in plan()
        ctx.scheduler.run_after_many(0, do_nothing_much, [{}] * 1_000)
        assert f"Seq Scan on {table}" in plan()
        monkeypatch.setattr(prepared_claims, "LONG_CLAIM", 0.0)
        with transaction.atomic():
            database.claim(replace(only_lane(), due_time=None), Wanted(), most=1)
        database.expect_claim()
        assert f"Index Scan using {table}_pkey" in plan()
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} RESET (autovacuum_enabled)")


#: It may not be there, if the worker has not been idle since the last body.
DEALLOCATE_THE_CLAIM = f"""
    DO $$ BEGIN EXECUTE 'DEALLOCATE {prepared_claims.CLAIM}'; EXCEPTION WHEN invalid_sql_statement_name THEN END $$
"""


@pytest.mark.parametrize("sql", ["DEALLOCATE ALL", "DISCARD PLANS", DEALLOCATE_THE_CLAIM])
def test_body_that_discards_what_was_prepared_does_not_disturb_the_next_claim(sql, caplog):
    caplog.set_level(logging.WARNING, "django_scheduler")
    with worker_in_a_thread() as worker:
        wait_until_idle(worker)
        for _ in range(2):
            wait_for_success(ctx.scheduler.run_after(0, execute_in_its_session, sql=sql))
            wait_for_success(ctx.scheduler.run_after(0, do_nothing_much))
    assert caplog.text == ""


def test_session_that_is_lost_before_a_prepared_claim_is_replaced(caplog):
    with worker_in_a_thread() as worker:
        wait_until_idle(worker)
        wait_for_success(ctx.scheduler.run_after(0, do_nothing_much))
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'django_scheduler'"
            )
        for _ in range(2):
            wait_for_success(ctx.scheduler.run_after(0, do_nothing_much))
    assert caplog.text.count("It tries again in") <= 1


def test_columns_that_change_while_it_runs_cost_one_attempt_to_claim(caplog):
    """The server refuses a prepared statement whose result has other types since."""
    table = ScheduledFunction._meta.db_table

    def alter(kind: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} ALTER COLUMN unknown_to TYPE {kind}")

    with worker_in_a_thread() as worker:
        wait_until_idle(worker)
        wait_for_success(ctx.scheduler.run_after(0, do_nothing_much))
        (before,) = (each for each in ScheduledFunction._meta.fields if each.name == "unknown_to")
        alter("varchar(300)")
        try:
            wait_for_success(ctx.scheduler.run_after(0, do_nothing_much))
        finally:
            alter(str(before.db_type(connection)))
        wait_for_success(ctx.scheduler.run_after(0, do_nothing_much))


@contextmanager
def bound_by_the_server() -> Iterator[None]:
    settings = connections.settings["default"]
    # A copy, because the connections that are there share what it is made from.
    connections.settings["default"] = {**settings, "OPTIONS": {**settings["OPTIONS"], "server_side_binding": True}}
    try:
        yield
    finally:
        connections.settings["default"] = settings


def test_nothing_is_prepared_where_the_server_binds_parameters(tmp_path):
    pytest.importorskip("psycopg")
    with bound_by_the_server(), protocol_of_worker(tmp_path / "protocol") as protocol, worker_in_a_thread() as worker:
        wait_until_idle(worker)
        for _ in range(2):
            wait_for_success(ctx.scheduler.run_after(0, do_nothing_much))
    assert not {"PREPARE", "EXECUTE"} & set(protocol.statements)


def test_wake_ups_name_functions_where_the_server_binds_parameters():
    pytest.importorskip("psycopg")
    said: list[str] = []

    def note(execute: Any, sql: str, *arguments: Any) -> Any:
        said.append(sql)
        return execute(sql, *arguments)

    own = connections.create_connection("default")
    django_internals.add_options(own, {"server_side_binding": True})
    database = database_for("default")
    with statements_through(note), database.asked_on(own), own.execute_wrapper(note):
        database.send_wakeup(None)
    own.close()
    assert said[-1].startswith("NOTIFY ")
