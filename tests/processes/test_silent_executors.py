"""Executors that are thought to be gone, and those that must not be."""

from datetime import timedelta
from functools import partial

import pytest
from django.db.models import F
from django.db.models.functions import Now

from django_scheduler import ctx
from django_scheduler.models import Executor, Failure, State
from tests.processes import functions
from tests.support.records import record
from tests.support.waiting import wait_until


def start_action(executors, gate, **settings):
    executor = executors.start(**settings)
    function_id = ctx.scheduler.run_after(0, functions.note_and_wait, label="once", gate=gate.path)
    wait_until(lambda: gate.arrivals == 1, "the action came to the gate")
    return executor, function_id


def wait_for_heartbeats(executor, number):
    for _ in range(number):
        before = executor.row.heartbeat_time
        wait_until(partial(has_beaten_since, executor, before), "it wrote a heartbeat")


def has_beaten_since(executor, before):
    return executor.row.heartbeat_time != before  # its clock may be set


def test_silent_executor_on_the_same_host_is_not_taken_for_gone(executors, gate):
    silent, function_id = start_action(executors, gate, HEARTBEAT_INTERVAL=3600, HEARTBEAT_TIMEOUT=7200)

    observer = executors.start(HEARTBEAT_INTERVAL=0.2, HEARTBEAT_TIMEOUT=0.4)
    wait_for_heartbeats(observer, 4)  # with each of them it looks for executors that are gone
    assert record(function_id).state == State.IN_PROGRESS
    assert Executor.objects.filter(pk=silent.name).exists()

    gate.open()
    wait_until(lambda: record(function_id).state == State.SUCCESS, "the action ended")
    assert silent.stop() == 0
    assert observer.stop() == 0


def test_executor_that_was_taken_for_gone_registers_again_and_its_late_end_is_dropped(executors, gate):
    silent, function_id = start_action(executors, gate, HEARTBEAT_INTERVAL=3)
    Executor.objects.filter(pk=silent.name).update(process_space="another host")

    observer = executors.start(HEARTBEAT_INTERVAL=0.2, HEARTBEAT_TIMEOUT=0.5)
    wait_until(lambda: record(function_id).state == State.FAILED, "the action was recorded as lost")

    silent.wait_until_logged("was taken for gone")
    wait_until(lambda: Executor.objects.filter(pk=silent.name).exists(), "it registered again")
    gate.open()
    silent.wait_until_logged(rf"{function_id}: its end \(success\) is dropped, because .*; it is now failed")

    row = record(function_id)
    assert (row.state, row.failure, row.result) == (State.FAILED, Failure.LOST, None)
    assert observer.stop() == 0
    later_id = ctx.scheduler.run_after(0, "tests:note", label="later")
    wait_until(lambda: record(later_id).state == State.SUCCESS, "the one that was taken for gone goes on")
    assert silent.stop() == 0


@pytest.mark.parametrize("hours", [pytest.param(-1, marks=pytest.mark.once), 1])
def test_living_executor_is_not_taken_for_gone_when_the_databases_clock_is_set(executors, gate, hours):
    living, function_id = start_action(executors, gate, HEARTBEAT_INTERVAL=1)
    Executor.objects.filter(pk=living.name).update(process_space="another host")
    observer = executors.start(HEARTBEAT_INTERVAL=0.2, HEARTBEAT_TIMEOUT=60)
    wait_for_heartbeats(observer, 3)

    step = F("heartbeat_time") - timedelta(hours=hours)
    Executor.objects.filter(pk=living.name).update(heartbeat_time=step)
    wait_for_heartbeats(observer, 2)
    wait_for_heartbeats(living, 1)
    wait_for_heartbeats(observer, 2)
    assert record(function_id).state == State.IN_PROGRESS

    gate.open()
    wait_until(lambda: record(function_id).state == State.SUCCESS, "the action ended")
    assert living.stop() == 0
    assert observer.stop() == 0


@pytest.mark.only_on("postgresql", "mysql")
def test_living_executors_are_not_taken_for_gone_because_nobody_could_write_a_heartbeat(executors, gate, session):
    living, function_id = start_action(executors, gate, HEARTBEAT_INTERVAL=1)
    Executor.objects.filter(pk=living.name).update(process_space="another host")
    observer = executors.start(HEARTBEAT_INTERVAL=0.2, HEARTBEAT_TIMEOUT=2)
    wait_for_heartbeats(observer, 3)

    session.open_transaction()
    session.do(lambda: list(Executor.objects.select_for_update()))
    seen = Executor.objects.annotate(now=Now())
    wait_until(
        lambda: all(each.now - each.heartbeat_time > timedelta(seconds=2.5) for each in seen.all()),
        "all executors were silent for longer than the timeout",
    )
    session.commit()
    wait_for_heartbeats(observer, 2)
    wait_for_heartbeats(living, 1)
    assert record(function_id).state == State.IN_PROGRESS

    gate.open()
    wait_until(lambda: record(function_id).state == State.SUCCESS, "the action ended")
    assert "taken for gone" not in living.log + observer.log
    assert living.stop() == 0
    assert observer.stop() == 0
