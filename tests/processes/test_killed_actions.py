"""kill -9 in the middle of an action: it is never run again, and recorded as lost, unless it is idempotent."""

import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F

from django_scheduler import ctx
from django_scheduler.models import Executor, Failure, State
from tests.models import Entry
from tests.processes import functions
from tests.support.records import history, record
from tests.support.waiting import wait_until


def is_lost(function_id):
    row = record(function_id)
    return (row.state, row.failure) == (State.FAILED, Failure.LOST)


def schedule_before_body(gate):
    doorstep = functions.Doorstep(gate.path)
    (Path(gate.path) / "armed").touch()
    return ctx.scheduler.run_after(0, functions.note_behind_doorstep, label="once", doorstep=doorstep)


def schedule_in_body(gate):
    return ctx.scheduler.run_after(0, functions.note_and_wait, label="once", gate=gate.path)


def schedule_after_body(gate):
    return ctx.scheduler.run_after(0, functions.note_and_wait_before_record, label="once", gate=gate.path)


def schedule_with_retry(gate):
    return ctx.scheduler.run_after(0, functions.note_and_wait_with_retry, label="once", gate=gate.path)


def schedule_idempotent(gate):
    return ctx.scheduler.run_after(0, functions.note_and_wait_again, label="again", gate=gate.path)


def execute_and_kill(executors, gate, schedule=schedule_in_body, **settings):
    """An executor that was killed while it was executing an action, and that action's id."""
    executor = executors.start(**settings)
    function_id = schedule(gate)
    wait_until(lambda: gate.arrivals == 1, "the action came to the gate")
    assert record(function_id).state == State.IN_PROGRESS
    executor.kill()
    gate.open()
    return executor, function_id


def run_something_else():
    """Once it has run, the executor has had every opportunity to run what was due before."""
    other_id = ctx.scheduler.run_after(0, "tests:write", label="other")
    wait_until(lambda: record(other_id).state == State.SUCCESS, "another function ran")


@pytest.mark.parametrize(
    ("schedule", "traces"),
    [
        pytest.param(schedule_before_body, 0, id="before its body"),
        pytest.param(schedule_in_body, 1, id="in its body"),
        pytest.param(schedule_with_retry, 1, marks=pytest.mark.once, id="in its body, which is repeated after errors"),
        pytest.param(schedule_after_body, 1, id="after its body"),
    ],
)
def test_action_of_a_killed_executor_is_lost_at_once_and_never_run_again(executors, gate, schedule, traces):
    killed, function_id = execute_and_kill(executors, gate, schedule)

    successor = executors.start(HEARTBEAT_INTERVAL=3600, HEARTBEAT_TIMEOUT=7200)
    wait_until(lambda: is_lost(function_id), "the action was recorded as lost")
    run_something_else()

    row = record(function_id)
    assert is_lost(function_id)
    assert (row.attempts, row.executor) == (1, killed.name)
    assert row.completed_time is not None
    assert "has ended" in row.error
    assert Entry.objects.filter(function_id=function_id).count() == traces
    assert gate.arrivals == 1
    assert not Executor.objects.filter(pk=killed.name).exists()
    successor.wait_until_logged(rf" {function_id}: failed \(lost\)")
    assert successor.stop() == 0


def test_action_of_an_executor_on_another_host_is_lost_when_its_heartbeat_has_been_silent(executors, gate):
    killed, function_id = execute_and_kill(executors, gate)
    Executor.objects.filter(pk=killed.name).update(process_space="another host")

    successor = executors.start(HEARTBEAT_INTERVAL=0.2, HEARTBEAT_TIMEOUT=0.6)
    wait_until(lambda: is_lost(function_id), "the action was recorded as lost")
    assert "silent for over 0.6 seconds" in record(function_id).error
    assert gate.arrivals == 1
    assert not Executor.objects.filter(pk=killed.name).exists()
    assert successor.stop() == 0


def test_action_whose_executor_is_not_on_record_is_lost_after_the_same_time(executors, gate):
    killed, function_id = execute_and_kill(executors, gate)
    killed.row.delete()

    successor = executors.start(HEARTBEAT_INTERVAL=0.2, HEARTBEAT_TIMEOUT=0.6)
    wait_until(lambda: is_lost(function_id), "the action was recorded as lost")
    assert "not on record" in record(function_id).error
    assert successor.stop() == 0


@pytest.mark.parametrize("is_on_record", [True, pytest.param(False, marks=pytest.mark.once)])
def test_executor_that_ends_by_itself_stays_until_it_knows_that_an_action_is_lost(executors, gate, is_on_record):
    killed, function_id = execute_and_kill(executors, gate)
    long_ago = F("heartbeat_time") - timedelta(seconds=1)
    Executor.objects.filter(pk=killed.name).update(process_space="another host", heartbeat_time=long_ago)
    if not is_on_record:
        killed.row.delete()

    assert executors.launch("--once", HEARTBEAT_INTERVAL=0.2, HEARTBEAT_TIMEOUT=0.6).end() == 0
    assert is_lost(function_id)


@pytest.mark.once
def test_executor_that_ends_by_itself_does_not_wait_for_actions_of_living_executors(executors, gate):
    living = executors.start(HEARTBEAT_INTERVAL=0.2)
    function_id = schedule_in_body(gate)
    wait_until(lambda: gate.arrivals == 1, "the action came to the gate")
    Executor.objects.filter(pk=living.name).update(process_space="another host")

    assert executors.launch("--once").end() == 0
    gate.open()
    wait_until(lambda: record(function_id).state == State.SUCCESS, "the action ended")
    assert living.stop() == 0


def test_action_that_was_canceled_stays_canceled_when_its_executor_is_killed(executors, gate):
    executor = executors.start()
    function_id = schedule_in_body(gate)
    wait_until(lambda: gate.arrivals == 1, "the action came to the gate")
    ctx.scheduler.cancel(function_id)
    executor.kill()

    successor = executors.start()
    wait_until(lambda: not Executor.objects.filter(pk=executor.name).exists(), "the killed one was noticed")
    run_something_else()
    assert record(function_id).state == State.CANCELED
    assert successor.stop() == 0


@pytest.mark.once
def test_living_executor_notices_another_ones_death_at_its_next_heartbeat(executors, gate):
    witness = executors.start("--queue=nothing", HEARTBEAT_INTERVAL=0.2)
    _, function_id = execute_and_kill(executors, gate)
    wait_until(lambda: is_lost(function_id), "the action was recorded as lost")
    assert witness.stop() == 0


def test_idempotent_action_of_a_killed_executor_is_started_again(executors, gate):
    killed, function_id = execute_and_kill(executors, gate, schedule_idempotent)

    successor = executors.start(HEARTBEAT_INTERVAL=3600, HEARTBEAT_TIMEOUT=7200)
    wait_until(lambda: record(function_id).state == State.SUCCESS, "its second attempt succeeded")

    row = record(function_id)
    assert (row.attempts, row.failures, row.executor) == (2, 1, successor.name)
    assert history(row)[0]["executor"] == killed.name
    assert history(row)[0]["error"].startswith("Lost: its process ")
    result: Any = row.decoded_result()
    assert result[0] == 2
    assert result[1]
    assert (gate.arrivals, gate.departures) == (2, 1)
    assert Entry.objects.filter(function_id=function_id).count() == 2
    successor.wait_until_logged(rf" {function_id}: attempt 1 of 2 failed and is repeated in .* Lost: ")
    assert successor.stop() == 0


def test_executor_that_drains_starts_again_what_a_killed_one_has_left(executors, gate):
    _, function_id = execute_and_kill(executors, gate, schedule_idempotent)

    assert executors.launch("--drain").end() == 0
    assert record(function_id).state == State.SUCCESS


def test_idempotent_action_of_an_executor_that_is_cut_off_is_not_started_before_its_process_has_ended(executors, gate):
    executor = executors.start("--grace=0.1")
    function_id = schedule_idempotent(gate)
    gate.wait_for_arrivals()
    executor.send(signal.SIGTERM)
    assert executor.end() == 1
    assert record(function_id).state == State.IN_PROGRESS  # nobody has seen yet that its process has ended
    gate.open()

    assert executors.launch("--drain").end() == 0
    row = record(function_id)
    assert (row.state, row.attempts, row.failures) == (State.SUCCESS, 2, 1)
