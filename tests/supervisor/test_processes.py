"""As many processes as asked for execute, whoever is killed, until they are told to stop."""

import os
import signal

import pytest

from django_scheduler import ctx
from django_scheduler.models import Executor, Failure, ScheduledFunction, State
from tests.models import Entry
from tests.processes import functions
from tests.support.forked_processes import run
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.once


def start_at_gate(gate, function=functions.note_and_wait):
    function_id = ctx.scheduler.run_after(0, function, label="at the gate", gate=gate.path)
    wait_until(lambda: gate.arrivals == 1, "the function came to the gate")
    return function_id


def assert_it_works():
    function_id = ctx.scheduler.run_after(0, "tests:write", label="after")
    wait_until(lambda: record(function_id).state == State.SUCCESS, "it works")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("is_forked", [True, pytest.param(False, marks=pytest.mark.thorough)])
def test_as_many_processes_execute_as_asked_for(supervise, gate, is_forked):
    supervised = supervise(processes=2, concurrency=1, is_forked=is_forked)
    for number in range(2):
        ctx.scheduler.run_after(0, functions.note_and_wait, label=str(number), gate=gate.path)
    wait_until(lambda: gate.arrivals == 2, "both processes executed")
    assert set(gate.process_ids) == supervised.process_ids
    assert supervised.supervisor.process_id not in supervised.process_ids
    gate.open()
    assert supervised.stop() == 0
    assert not Executor.objects.exists()


def test_process_that_is_killed_is_replaced_and_its_action_is_lost_without_a_heartbeat(supervise, gate):
    supervised = supervise(processes=2, concurrency=1, HEARTBEAT_INTERVAL=3600, HEARTBEAT_TIMEOUT=7200)
    function_id = start_at_gate(gate)
    victim = gate.process_ids[0]

    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: record(function_id).state == State.FAILED, "it was recorded as lost")

    assert record(function_id).failure == Failure.LOST
    supervised.wait_until_executing(3)
    assert len(supervised.process_ids) == 2
    assert victim not in supervised.process_ids
    supervised.wait_until_logged(rf"process {victim} ended \(SIGKILL\) in the body of \S+:\w+ {function_id}\.")
    assert_it_works()
    assert supervised.stop() == 0


def test_process_that_is_asked_to_stop_ends_in_good_order_and_is_replaced(supervise, gate):
    supervised = supervise()
    function_id = start_at_gate(gate)
    for _ in range(3):
        os.kill(gate.process_ids[0], signal.SIGTERM)
    supervised.wait_until_logged("is stopping")
    gate.open()
    wait_until(lambda: record(function_id).state == State.SUCCESS, "it ended")
    supervised.wait_until_executing(2)
    assert_it_works()
    assert supervised.stop() == 0
    assert "has died" not in supervised.log


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
def test_signal_to_all_processes_at_once_as_systemd_and_a_terminal_send_it_is_one_request(supervise, gate, stop_signal):
    supervised = supervise(processes=2)
    function_id = start_at_gate(gate)
    for process_id in [*supervised.process_ids, supervised.supervisor.process_id]:
        os.kill(process_id, stop_signal)
    wait_until(lambda: supervised.log.count("is stopping") >= 2, "both were stopping")
    gate.open()
    assert supervised.end() == 0
    assert record(function_id).state == State.SUCCESS
    assert not Executor.objects.exists()


@pytest.mark.parametrize("stop_signal", [signal.SIGQUIT, signal.SIGTERM, signal.SIGINT])
def test_who_insists_gets_an_end_at_once(supervise, gate, stop_signal):
    supervised = supervise("--grace=600", processes=2)
    action_id = start_at_gate(gate)
    supervised.send(stop_signal)
    if stop_signal != signal.SIGQUIT:
        supervised.wait_until_logged("is stopping")
        supervised.send(*[stop_signal] * 4)
    assert supervised.end() == 1
    wait_until(lambda: not supervised.is_running, "its processes ended, too")
    assert (record(action_id).state, record(action_id).failure) == (State.FAILED, Failure.LOST)
    assert not Executor.objects.exists()
    assert "has died" not in supervised.log


def test_mutation_that_is_cut_off_is_not_blamed(supervise, gate, executors):
    supervised = supervise("--grace=0.3")
    function_id = start_at_gate(gate, functions.write_and_wait)
    assert supervised.stop() == 1
    row = record(function_id)
    assert (row.state, row.crashes, row.attempts) == (State.PENDING, 0, 0)
    gate.open()
    assert executors.launch("--once").end() == 0
    assert Entry.objects.count() == 1


def test_process_that_does_not_even_react_is_killed(supervise, gate):
    supervised = supervise("--grace=0.2", HEARTBEAT_INTERVAL=3600, HEARTBEAT_TIMEOUT=7200)
    function_id = start_at_gate(gate)
    os.kill(gate.process_ids[0], signal.SIGSTOP)
    assert supervised.stop() == 1
    assert record(function_id).failure == Failure.LOST
    assert not Executor.objects.exists()


def test_processes_end_in_good_order_when_their_supervisor_is_killed(supervise, gate):
    supervised = supervise(processes=2)
    function_id = start_at_gate(gate)
    supervised.supervisor.kill()
    wait_until(lambda: len(supervised.process_ids) == 1, "the idle one ended")
    gate.open()
    wait_until(lambda: not supervised.is_running, "both ended")
    assert record(function_id).state == State.SUCCESS
    assert not Executor.objects.exists()
    assert supervised.log.count("has lost its supervisor, so it stops") == 2


def test_signal_right_at_the_start_is_heeded(executors):
    command = executors.launch("--processes=2")
    command.wait_until_logged("The supervisor .* keeps 2 processes running")
    assert command.stop() == 0
    assert "Traceback" not in command.log
    assert not Executor.objects.exists()


@pytest.mark.parametrize("until", ["--once", "--drain"])
def test_processes_that_end_by_themselves_are_not_replaced(executors, until):
    ids = ctx.scheduler.run_after_many(0, "tests:write", [{"label": str(number)} for number in range(50)])
    command = executors.launch("--processes=2", until)
    assert command.end() == 0
    assert ScheduledFunction.objects.filter(state=State.SUCCESS).count() == len(ids)
    assert Entry.objects.count() == len(ids)
    assert not Executor.objects.exists()


def test_process_that_dies_while_it_drains_is_replaced(executors):
    function_id = ctx.scheduler.run_after(0, "tests:crash", how="segfault")
    assert executors.launch("--processes=1", "--drain").end() == 0
    assert record(function_id).failure == Failure.CRASHED


def test_what_a_spawned_process_imports_needs_no_django_that_is_set_up():
    source = "import django_scheduler.supervisor.child; from django.apps import apps; assert not apps.ready"
    done = run(["-c", source], {**os.environ, "DJANGO_SETTINGS_MODULE": ""})
    assert done.returncode == 0, done.stderr
