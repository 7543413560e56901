"""Sessions that are ended and a database that is gone: the executor survives, and work resumes."""

import pytest
from django.db import connection

from django_scheduler import ctx
from django_scheduler.models import Executor, ScheduledFunction, State
from tests.models import Entry
from tests.processes import functions
from tests.support.records import record
from tests.support.sessions import database_gone, end_sessions
from tests.support.waiting import wait_until


def assert_it_works():
    function_id = ctx.scheduler.run_after(0, "tests:write", label="after")
    wait_until(lambda: record(function_id).state == State.SUCCESS, "work was resumed")


@pytest.mark.only_on("postgresql", "mysql")
def test_executor_survives_the_end_of_all_of_its_sessions_again_and_again(executors):
    executor = executors.start(concurrency=3, HEARTBEAT_INTERVAL=0.3)
    assert_it_works()
    for _ in range(3):
        wait_until(end_sessions, "it had sessions to end")
        assert_it_works()
    assert executor.stop() == 0


@pytest.mark.only_on("postgresql", "mysql")
def test_functions_whose_session_is_ended_are_run_again_if_they_are_mutations_and_go_on_if_they_are_actions(
    executors, gate
):
    executor = executors.start(BACKOFF_INITIAL=0.1)
    mutation_id = ctx.scheduler.run_after(0, functions.write_and_wait, label="mutation", gate=gate.path)
    action_id = ctx.scheduler.run_after(0, functions.note_and_wait, label="action", gate=gate.path)
    wait_until(lambda: gate.arrivals == 2, "both came to the gate")
    end_sessions()
    gate.open()
    wait_until(
        lambda: record(mutation_id).state == State.SUCCESS and record(action_id).state == State.SUCCESS, "both ended"
    )
    assert sorted(Entry.objects.values_list("label", flat=True)) == ["action", "mutation"]
    attempts = ScheduledFunction.objects.in_bulk()
    assert (attempts[mutation_id].attempts, attempts[action_id].attempts) == (2, 1)
    assert executor.stop() == 0


@pytest.mark.only_on("postgresql")
def test_executor_survives_a_database_that_is_gone_for_seconds(executors):
    executor = executors.start(concurrency=3, HEARTBEAT_INTERVAL=0.3)
    function_id = ctx.scheduler.run_after(2_000, "tests:write", label="due meanwhile")
    with database_gone():
        executor.wait_until_logged(r"(?s)could not look for due functions.*could not look for .* again in 0\.[48] s")
        executor.wait_until_logged("The side task 'heartbeat' of an executor failed")
    wait_until(lambda: record(function_id).state == State.SUCCESS, "what was due meanwhile ran")
    assert_it_works()
    assert executor.stop() == 0


@pytest.mark.only_on("postgresql")
def test_executor_that_is_stopped_while_the_database_is_gone_ends_promptly(executors):
    executor = executors.start(concurrency=3)
    with database_gone():
        assert executor.stop() == 0
    assert "could not remove its row" in executor.log
    assert executors.launch("--once").end() == 0  # which removes the row


@pytest.mark.only_on("postgresql")
def test_listener_whose_session_is_ended_listens_again(executors):
    executor = executors.start(POLL_INTERVAL=3600)
    wait_until(lambda: end_sessions("django_scheduler listener"), "it had a listener to end")
    executor.wait_until_logged("The side task 'listener' of an executor failed")
    assert_it_works()
    assert_it_works()
    assert executor.stop() == 0


def test_failing_heartbeat_does_not_stop_the_work_and_is_repeated(executors):
    executor = executors.start(HEARTBEAT_INTERVAL=0.2)
    table, elsewhere = Executor._meta.db_table, "executors_elsewhere"
    with connection.schema_editor() as schema_editor:
        schema_editor.alter_db_table(Executor, table, elsewhere)
    try:
        executor.wait_until_logged("The side task 'heartbeat' of an executor failed")
        assert_it_works()
    finally:
        with connection.schema_editor() as schema_editor:
            schema_editor.alter_db_table(Executor, elsewhere, table)
    before = executor.row.heartbeat_time
    wait_until(lambda: executor.row.heartbeat_time > before, "it wrote heartbeats again")
    assert executor.stop() == 0
