"""kill -9 in the middle of a mutation leaves nothing, and the next executor runs it."""

from pathlib import Path

import pytest

from django_scheduler import ctx
from django_scheduler.models import Executor, State
from tests.models import Entry
from tests.processes import functions
from tests.support.records import record
from tests.support.waiting import wait_until

#: In seconds. A mutation is free when the database notices that its executor is gone; nobody's heartbeat matters.
NO_HEARTBEATS = {"HEARTBEAT_INTERVAL": 3600, "HEARTBEAT_TIMEOUT": 7200}


def assert_next_executor_runs_it(executors, function_id):
    successor = executors.start(**NO_HEARTBEATS)
    wait_until(lambda: record(function_id).state == State.SUCCESS, "the next executor ran it")
    assert Entry.objects.filter(function_id=function_id).count() == 1
    assert record(function_id).executor == successor.name
    assert successor.stop() == 0


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(functions.write_and_wait, id="in the body, after a write"),
        pytest.param(functions.write_and_wait_before_record, id="after the body"),
        pytest.param(functions.write_and_wait_before_commit, id="between success and COMMIT"),
    ],
)
def test_killed_executor_leaves_nothing_of_a_mutation_and_the_next_one_runs_it(executors, gate, function):
    function_id = ctx.scheduler.run_after(0, function, label="once", gate=gate.path)
    executor = executors.start()
    wait_until(lambda: gate.arrivals == 1, "the mutation came to the gate")

    executor.kill()
    gate.open()

    assert not Entry.objects.exists()
    row = record(function_id)
    assert (row.state, row.attempts, row.executor, row.started_time) == (State.PENDING, 0, "", None)
    assert_next_executor_runs_it(executors, function_id)


def test_mutation_whose_executor_is_killed_before_the_body_is_run_by_the_next_one(executors, gate, tmp_path):
    doorstep = functions.Doorstep(gate.path)
    function_id = ctx.scheduler.run_after(0, functions.write_behind_doorstep, label="once", doorstep=doorstep)
    (Path(gate.path) / "armed").touch()
    executor = executors.start()
    wait_until(lambda: gate.arrivals == 1, "the mutation was claimed")

    executor.kill()
    gate.open()

    assert not Entry.objects.exists()
    assert_next_executor_runs_it(executors, function_id)


@pytest.mark.only_on("postgresql", "mysql")
def test_mutation_whose_executor_is_killed_during_a_statement_is_run_by_the_next_one(executors, gate):
    function_id = ctx.scheduler.run_after(0, functions.write_and_sleep_in_database, label="once", gate=gate.path)
    executor = executors.start()
    wait_until(lambda: gate.arrivals == 1, "the mutation came to its long statement")

    executor.kill()

    assert not Entry.objects.exists()
    assert_next_executor_runs_it(executors, function_id)


def test_living_executor_takes_over_what_a_killed_one_was_executing(executors, gate):
    both = [executors.start(), executors.start()]
    function_id = ctx.scheduler.run_after(0, functions.write_and_wait, label="once", gate=gate.path)
    wait_until(lambda: gate.arrivals == 1, "the mutation came to the gate")
    killed, survivor = sorted(both, key=lambda executor: executor.process_id not in gate.process_ids)

    killed.kill()
    gate.open()

    wait_until(lambda: record(function_id).state == State.SUCCESS, "the other executor ran it")
    assert Entry.objects.count() == 1
    assert record(function_id).executor == survivor.name
    assert survivor.stop() == 0
    Executor.objects.filter(pk=killed.name).delete()  # the survivor had no heartbeat in which to do it


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(functions.write_and_wait, id="in the body of a member"),
        pytest.param(functions.write_and_wait_before_commit, id="between the members' success and COMMIT"),
    ],
)
def test_killed_executor_leaves_nothing_of_a_group_and_the_next_one_runs_each_member_once(
    executors, gate, growing_groups, function
):
    before = [ctx.scheduler.run_after(0, "tests:write", label=str(number)) for number in range(7)]
    group = [
        ctx.scheduler.run_after(0, "tests:write", label="first"),
        ctx.scheduler.run_after(0, function, label="stopped", gate=gate.path),
        ctx.scheduler.run_after(0, "tests:write", label="last"),
    ]
    executor = executors.start(concurrency=1)
    wait_until(lambda: gate.arrivals == 1, "the group came to the gate")

    executor.kill()
    gate.open()

    assert set(Entry.objects.values_list("function_id", flat=True)) == set(before)
    assert [record(function_id).state for function_id in group] == [State.PENDING] * 3
    successor = executors.start()
    wait_until(lambda: all(record(each).state == State.SUCCESS for each in group), "the next executor ran them")
    assert list(Entry.objects.order_by("function_id").values_list("function_id", flat=True)) == [*before, *group]
    assert successor.stop() == 0
