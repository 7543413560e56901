"""An executor that waits: it hardly asks the database, and is there when something is due."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.db.backends.signals import connection_created

from django_scheduler import Context, ctx, mutation
from django_scheduler.conf import get_settings
from django_scheduler.databases import database_for
from django_scheduler.databases.postgresql import listening
from django_scheduler.executor import crons
from django_scheduler.models import ScheduledFunction, State
from django_scheduler.record import retention
from tests.executor.test_order import FUNCTIONS, started
from tests.functions import write
from tests.support.elsewhere import elsewhere
from tests.support.in_process import executing
from tests.support.statements import statements_through
from tests.support.waiting import wait_until

starts: list[int | None] = []


@mutation
def note_start(ctx: Context) -> None:
    starts.append(ctx.function_id)


@pytest.fixture(autouse=True)
def _no_starts():
    starts.clear()
    started.clear()


@pytest.fixture
def _no_polls(settings):
    """Executors look again when they are woken, or when something is due that they know of, and else never."""
    settings.DJANGO_SCHEDULER = {"POLL_INTERVAL": timedelta(hours=1)}


def start_and_settle() -> None:
    """Wait until the executor has done what it does at its start, and has executed something."""
    connections["default"].ensure_connection()
    ctx.scheduler.run_after(0, note_start)
    wait_until(lambda: starts, "it has executed something")
    starts.clear()


@pytest.mark.only_on("postgresql")
def test_idle_executor_executes_hardly_a_statement_but_its_heartbeats(settings, transactional_db, tasks):
    # It polls so seldom that also a slow machine has ten heartbeats in between.
    settings.DJANGO_SCHEDULER = {"HEARTBEAT_INTERVAL": timedelta(seconds=0.1), "POLL_INTERVAL": timedelta(minutes=1)}
    seen = [0, 0]

    def nothing_else_happens_during_ten_heartbeats():
        heartbeats, others = tasks.count("heartbeat"), len(tasks) - tasks.count("heartbeat") - tasks.count("recovery")
        if others != seen[1]:
            seen[:] = heartbeats, others
        return heartbeats - seen[0] >= 10

    with executing(concurrency=8):
        start_and_settle()
        wait_until(lambda: "listener" in tasks, "it listens")
        wait_until(nothing_else_happens_during_ten_heartbeats, "it did nothing but look after executors ten times")
    assert "worker 1" in tasks


@pytest.mark.only_on("postgresql")
def test_an_idle_minute_costs_less_than_thirty_statements():
    heartbeats = 60 / get_settings().HEARTBEAT_INTERVAL.total_seconds()
    poll_interval = database_for("default").poll_interval
    statements = {
        "poller": 60 / poll_interval,
        "heartbeat": 2 * heartbeats,  # see the next test
        "crons": 60 / (crons.POLLS * poll_interval) + 3 * 60 / crons.UPKEEP_INTERVAL,  # tests/crons/test_executors.py
        "retention": 3 * 60 / retention.LONGEST_REST.total_seconds(),  # tests/record/test_retention.py; two to connect
        "listener": 60 / listening.CHECK_INTERVAL,
    }
    assert statements == {"poller": 12, "heartbeat": 12, "crons": 4, "retention": 0.3, "listener": 1}
    assert sum(statements.values()) < 30


@pytest.mark.only_on("postgresql")
def test_heartbeat_and_the_look_at_other_executors_are_two_statements_on_one_connection(settings, transactional_db):
    settings.DJANGO_SCHEDULER = {"HEARTBEAT_INTERVAL": timedelta(seconds=0.05)}
    said: list[str] = []

    def is_looking_after_executors() -> bool:
        return threading.current_thread().name in ("django_scheduler heartbeat", "django_scheduler recovery")

    def note(execute: Any, sql: str, *arguments: Any) -> Any:
        if is_looking_after_executors():
            said.append(sql.split()[0])
        return execute(sql, *arguments)

    def note_connection(**kwargs: object) -> None:
        if is_looking_after_executors():
            said.append("CONNECT")

    connection_created.connect(note_connection)
    try:
        with statements_through(note), executing(concurrency=1):
            wait_until(lambda: said.count("UPDATE") > 10, "it wrote ten heartbeats")
    finally:
        connection_created.disconnect(note_connection)

    assert said.count("CONNECT") == 1
    beats = " ".join(said).split("UPDATE")
    assert beats[3:-1] == [" SELECT "] * (
        len(beats) - 4
    )  # at first it asks besides whether there is something to wait for


@pytest.mark.only_on("postgresql")
def test_nobody_asks_what_has_become_of_an_answer_between_two_heartbeats(settings, transactional_db):
    # A heartbeat has to be answered until the next one is due, but within a second at the least.
    settings.DJANGO_SCHEDULER = {"HEARTBEAT_INTERVAL": timedelta(seconds=1)}
    done: list[str] = []

    def note(execute: Any, sql: str, *arguments: Any) -> Any:
        if threading.current_thread().name == "django_scheduler heartbeat" and sql.startswith("UPDATE"):
            done.append("beat")
        if "pg_stat_activity WHERE pid" in sql:
            done.append("asked")  # as it may for once, on a machine that was too busy to answer
        return execute(sql, *arguments)

    with statements_through(note), executing(concurrency=1):
        wait_until(lambda: done[-4:] == ["beat"] * 4, f"four heartbeats in a row were written, and not {done}")


is_held = threading.Event()
let_go = threading.Event()


@mutation
def hold_a_row(ctx: Context) -> None:
    is_held.set()
    assert let_go.wait(20)


@pytest.mark.only_on("postgresql", "mysql")
@pytest.mark.usefixtures("_no_polls")
def test_functions_become_due_on_time_while_others_are_held(transactional_db):
    is_held.clear()
    let_go.clear()
    with executing(concurrency=3):
        ctx.scheduler.run_after(0, hold_a_row)
        assert is_held.wait(20)
        try:
            soon = ctx.scheduler.run_after(100, FUNCTIONS["b", 0], number=1)
            now = ctx.scheduler.run_after(0, write, label="now")
            done = ScheduledFunction.objects.filter(pk__in=[soon, now], state=State.SUCCESS)
            wait_until(lambda: done.count() == 2, "both were executed")
        finally:
            let_go.set()


@pytest.mark.only_on("postgresql", "mysql")
def test_functions_are_executed_while_somebody_else_holds_others(transactional_db):
    first = ctx.scheduler.run_after(0, write, label="held")
    others = [ctx.scheduler.run_after(0, write, label="free") for _ in range(3)]
    with transaction.atomic():
        ScheduledFunction.objects.select_for_update().get(pk=first)

        def execute() -> None:
            with executing(concurrency=2):
                done = ScheduledFunction.objects.filter(pk__in=others, state=State.SUCCESS)
                wait_until(lambda: done.count() == 3, "the others were executed")

        elsewhere(execute)

    assert ScheduledFunction.objects.get(pk=first).state == State.PENDING


def test_five_queues_of_five_priorities_are_all_executed(transactional_db):
    for number, function in enumerate(FUNCTIONS.values()):
        for _ in range(2):
            ctx.scheduler.run_after(0, function, number=number)

    with executing(concurrency=1 if connection.vendor == "sqlite" else 4):
        done = ScheduledFunction.objects.filter(state=State.SUCCESS)
        wait_until(lambda: done.count() == 50, "all were executed")

    assert sorted(started) == sorted(list(range(25)) * 2)
