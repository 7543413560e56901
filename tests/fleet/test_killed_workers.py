"""A real fleet, whose workers are killed while they execute: both promises hold."""

import json
import os
import signal

import pytest

from django_scheduler import ctx
from django_scheduler.models import Executor, Failure, State
from tests.fleet.workers import FLEETS, SETTINGS
from tests.functions import note, write
from tests.models import Entry
from tests.processes import functions
from tests.support.executor_processes import ExecutorProcesses, nothing_left_behind
from tests.support.records import record
from tests.support.waiting import wait_until


def wait_for(function_id, wanted, fleet):
    wait_until(lambda: record(function_id).state == wanted, f"{function_id} became {wanted}: {fleet.logs}", timeout=40)


@pytest.fixture(params=list(FLEETS))
def fleet(request, transactional_db, child_environment, tmp_path):
    """Workers that are not ours, and an executor that hands over to them."""
    with FLEETS[request.param](child_environment, tmp_path) as fleet:
        processes = ExecutorProcesses({**child_environment, "TEST_FLEET": fleet.name}, tmp_path)
        with nothing_left_behind(processes):
            executor = processes.start(**json.loads(SETTINGS))
            try:
                yield fleet
            finally:
                fleet.end()
                wait_until(lambda: Executor.objects.count() <= 1, "the workers are off the record")
                executor.stop()


def test_fleet_executes_what_is_due(fleet):
    fleet.start_worker()
    ids = [ctx.scheduler.run_after(delay, function, label="x") for function in [write, note] for delay in [0, 200]]

    for function_id in ids:
        wait_for(function_id, State.SUCCESS, fleet)

    assert [entry.function_id for entry in Entry.objects.order_by("function_id")] == ids


def test_mutation_takes_effect_once_although_its_worker_is_killed(fleet, gate):
    fleet.start_worker()
    function_id = ctx.scheduler.run_after(0, functions.write_and_wait, label="once", gate=gate.path)
    wait_until(lambda: gate.arrivals == 1, "the mutation came to the gate", timeout=40)

    os.kill(gate.process_ids[0], signal.SIGKILL)
    gate.open()
    assert record(function_id).state == State.PENDING
    fleet.start_worker()

    wait_for(function_id, State.SUCCESS, fleet)
    assert gate.arrivals == 2
    assert [entry.function_id for entry in Entry.objects.all()] == [function_id]


def test_action_starts_once_and_is_lost_when_its_worker_is_killed(fleet, gate):
    fleet.start_worker()
    function_id = ctx.scheduler.run_after(0, functions.note_and_wait, label="once", gate=gate.path)
    wait_until(lambda: gate.arrivals == 1, "the action came to the gate", timeout=40)

    os.kill(gate.process_ids[0], signal.SIGKILL)
    gate.open()
    fleet.start_worker()

    wait_for(function_id, State.FAILED, fleet)
    assert record(function_id).failure == Failure.LOST
    other_id = ctx.scheduler.run_after(0, note, label="other")
    wait_for(other_id, State.SUCCESS, fleet)
    assert gate.arrivals == 1
    assert Entry.objects.filter(function_id=function_id).count() == 1


def test_nothing_is_lost_when_there_was_no_worker_for_a_while(fleet):
    function_id = ctx.scheduler.run_after(0, write, label="once")
    first = fleet.start_worker()
    first.kill()
    first.wait()

    fleet.start_worker()

    wait_for(function_id, State.SUCCESS, fleet)
    assert Entry.objects.count() == 1
