"""A body that kills its process: a mutation is given up after three times, an action after the first."""

import pytest

from django_scheduler import ctx
from django_scheduler.models import Failure, ScheduledFunction, State
from tests.models import Entry
from tests.processes.functions import write_and_wait
from tests.supervisor import functions
from tests.support.records import history, record
from tests.support.waiting import wait_until


def wait_for(function_id, state):
    wait_until(lambda: record(function_id).state == state, f"it was {state}", timeout=40)


@pytest.mark.parametrize(
    ("how", "times"),
    [("kill", 3), *(pytest.param(how, 1, marks=pytest.mark.once) for how in functions.WAYS if how != "kill")],
)
def test_mutation_that_has_killed_three_processes_fails_and_others_go_on(executors, how, times):
    crashing_id = ctx.scheduler.run_after(0, functions.crash, how=how)
    ScheduledFunction.objects.update(crashes=3 - times)  # the earlier ones: each would cost a process more
    other_id = ctx.scheduler.run_after(0, "tests:write", label="other")

    command = executors.launch("--processes=1")  # the default
    wait_for(crashing_id, State.FAILED)
    wait_for(other_id, State.SUCCESS)

    row = record(crashing_id)
    assert (row.kind, row.failure, row.crashes, row.attempts) == ("mutation", Failure.CRASHED, 3, times)
    assert row.completed_time is not None
    assert f"({functions.WAYS[how][1]})" in row.error
    assert "the 3rd time" in row.error
    assert [entry.label for entry in Entry.objects.all()] == ["other"]
    command.wait_until_logged(rf"tests:crash {crashing_id}: failed \(crashed\), because 3 processes have died")
    assert command.stop() == 0


@pytest.mark.parametrize(
    ("function", "how"),
    [
        (functions.crash_in_an_action, "exit as if nothing were wrong"),
        pytest.param(functions.crash_in_a_coroutine, "segfault", marks=pytest.mark.once),
    ],
)
def test_action_that_kills_its_process_is_lost_and_not_run_again(supervise, function, how):
    function_id = ctx.scheduler.run_after(0, function, how=how)
    supervised = supervise(HEARTBEAT_INTERVAL=3600, HEARTBEAT_TIMEOUT=7200)
    wait_for(function_id, State.FAILED)
    other_id = ctx.scheduler.run_after(0, "tests:write", label="other")
    wait_for(other_id, State.SUCCESS)

    row = record(function_id)
    assert (row.failure, row.attempts, row.crashes) == (Failure.LOST, 1, 0)
    assert Entry.objects.filter(function_id=function_id).count() == 1
    assert supervised.stop() == 0


def test_idempotent_action_that_kills_its_process_is_run_again_as_often_as_it_declares(supervise):
    function_id = ctx.scheduler.run_after(0, functions.crash_in_each_attempt_but_the_third)
    supervised = supervise(HEARTBEAT_INTERVAL=3600, HEARTBEAT_TIMEOUT=7200)
    wait_for(function_id, State.SUCCESS)

    row = record(function_id)
    assert (row.attempts, row.failures, Entry.objects.count()) == (3, 2, 3)
    assert len({each["executor"] for each in history(row)} | {row.executor}) == 3
    assert supervised.stop() == 0


@pytest.mark.once
def test_mutation_that_kills_its_process_twice_and_then_does_not_succeeds(supervise, gate):
    function_id = ctx.scheduler.run_after(0, functions.crash_twice, gate=gate.path)
    supervised = supervise()
    wait_for(function_id, State.SUCCESS)
    row = record(function_id)
    assert (row.crashes, row.attempts, row.failures, row.error) == (2, 3, 0, "")
    assert ["(SIGKILL)" in each["error"] for each in history(row)] == [True, True]
    assert gate.arrivals == 3
    assert Entry.objects.count() == 1
    assert supervised.stop() == 0


@pytest.mark.once
def test_crashes_are_counted_beyond_the_life_of_a_supervisor(supervise):
    function_id = ctx.scheduler.run_after(0, functions.crash, how="kill")
    ScheduledFunction.objects.update(crashes=2)
    supervised = supervise()
    wait_for(function_id, State.FAILED)
    assert (record(function_id).crashes, record(function_id).attempts) == (3, 1)
    supervised.wait_until_executing(2)
    assert supervised.stop() == 0


def test_of_those_that_share_its_transaction_none_is_blamed_and_all_succeed(supervise, gate, growing_groups):
    gate.open()  # there their runs are counted, also those that are rolled back
    neighbor = {"label": "neighbor", "gate": gate.path}
    neighbors = ctx.scheduler.run_after_many(0, write_and_wait, [neighbor] * 30)
    crashing_id = ctx.scheduler.run_after(0, functions.crash, how="kill")
    neighbors += ctx.scheduler.run_after_many(0, write_and_wait, [neighbor] * 30)
    supervised = supervise(concurrency=1, BACKOFF_INITIAL=0.1)  # it is the last one of the fifth group, of 16
    wait_for(crashing_id, State.FAILED)
    wait_until(lambda: Entry.objects.count() == 60, "the neighbors ran")
    assert record(crashing_id).failure == Failure.CRASHED
    rows = ScheduledFunction.objects.filter(pk__in=neighbors)
    assert rows.filter(state=State.SUCCESS, crashes=0).count() == 60
    assert gate.arrivals > 60
    assert supervised.stop() == 0


@pytest.mark.only_on("postgresql", "mysql")
def test_innocent_that_is_always_in_its_body_at_the_same_time_is_not_blamed(supervise, gate):
    innocent = {"label": "innocent", "gate": gate.path}
    innocent_ids = ctx.scheduler.run_after_many(0, write_and_wait, [innocent] * 3)
    crashing_id = ctx.scheduler.run_after(0, functions.crash_beside, gate=gate.path, number=3)
    supervised = supervise(concurrency=4, BACKOFF_INITIAL=1)
    wait_until(lambda: record(crashing_id).crashes == 2, "it crashed twice")
    gate.open()
    wait_for(crashing_id, State.FAILED)
    assert record(crashing_id).failure == Failure.CRASHED
    for innocent_id in innocent_ids:
        wait_for(innocent_id, State.SUCCESS)
        assert record(innocent_id).crashes >= 2
    assert Entry.objects.count() == 3
    assert supervised.stop() == 0
