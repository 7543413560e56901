"""A process ends when it is told to, within ``--grace``, whatever bodies have left running in it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from django_scheduler import ctx
from django_scheduler.models import Executor, State
from tests.supervisor import functions
from tests.support.executor_processes import START_TIMEOUT
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.once


def leave_behind(what, gate):
    function = functions.leave_a_thread_of_asyncio if what == "thread of asyncio" else functions.leave_behind
    function_id = ctx.scheduler.run_after(0, function, what=what, gate=gate.path)
    wait_until(lambda: record(function_id).state == State.SUCCESS, "its body ended")
    if what != "hook":
        gate.wait_for_arrivals()


@pytest.mark.parametrize("what", [*functions.LEFTOVERS, "thread of asyncio"])
@pytest.mark.parametrize("processes", [0, pytest.param(1, marks=pytest.mark.thorough)])
def test_process_ends_within_the_grace_and_says_what_it_waits_for(executors, gate, what, processes):
    command = executors.launch(f"--processes={processes}", "--grace=2.5")
    leave_behind(what, gate)
    command.send(signal.SIGTERM)
    assert command.end() == 1
    assert "has stopped" in command.log  # the executor has ended in good order
    assert "does not end because of something that a body has left, and is cut off" in command.log
    assert gate.departures == 0
    assert not Executor.objects.exists()
    gate.open()
    if what == "process":
        gate.wait_for_departures()


def test_what_ends_within_the_grace_ends_by_itself(executors, gate):
    command = executors.launch("--processes=1", "--grace=600")
    leave_behind("pool", gate)
    command.send(signal.SIGTERM)
    command.wait_until_logged("does not end because of something that a body has left")
    gate.open()
    assert command.end() == 0
    assert gate.departures == 1


@pytest.mark.parametrize("processes", [0, 1])
def test_second_signal_ends_it_at_once(executors, gate, processes):
    command = executors.launch(f"--processes={processes}", "--grace=600")
    leave_behind("pool", gate)
    command.send(signal.SIGTERM)
    command.wait_until_logged("does not end because of something that a body has left")
    command.send(signal.SIGTERM)
    assert command.end() == 1


def test_process_that_is_asked_to_stop_by_itself_ends_too_and_is_replaced(supervise, gate):
    supervised = supervise("--grace=1")
    leave_behind("pool", gate)
    (process_id,) = gate.process_ids
    subprocess.run(["kill", str(process_id)], check=True)
    supervised.wait_until_executing(2)
    assert supervised.stop() == 0


@pytest.mark.timeout(180)
@pytest.mark.thorough
def test_supervisor_notices_the_death_of_a_process_whose_files_a_program_has_inherited(executors, new_gate):
    gate = new_gate()
    command = executors.launch("--processes=1", is_forked=False)
    ctx.scheduler.run_after(0, "tests:start_a_process", how="os.system", gate=gate.path)
    command.wait_until_started()
    gate.wait_for_arrivals()
    ctx.scheduler.run_after(0, functions.crash_in_an_action, how="kill")
    command.wait_until_logged(r"ended \(SIGKILL\)")
    wait_until(lambda: command.log.count(": django_scheduler ") == 2, "another one executed", timeout=START_TIMEOUT)
    gate.open()
    assert command.stop() == 0


#: Has the process be given orphans, as process 1 of a container is.
AS_IN_A_CONTAINER = """
import ctypes, os, sys
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0
os.execv(sys.executable, [sys.executable, "-m", "django", "runscheduler", "--processes=1"])
"""


@pytest.mark.thorough
@pytest.mark.timeout(180)
def test_supervisor_that_is_given_orphans_leaves_no_zombies_and_knows_how_its_own_processes_end(
    executors, child_environment, tmp_path
):
    log = tmp_path / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen([sys.executable, "-c", AS_IN_A_CONTAINER], env=child_environment, stderr=output) as supervisor,
    ):
        try:
            ids = [ctx.scheduler.run_after(0, functions.leave_an_orphan) for _ in range(5)]
            wait_until(
                lambda: all(record(each).state == State.SUCCESS for each in ids),
                "the orphans were left",
                timeout=START_TIMEOUT,
            )
            ended = [Path(f"/proc/{record(each).decoded_result()}") for each in ids]
            wait_until(lambda: not any(path.exists() for path in ended), "they were reaped")
            ctx.scheduler.run_after(0, functions.crash_in_an_action, how="exit")
            wait_until(lambda: "ended (exit code 7)" in log.read_text(), "the exit code was known")
            wait_until(
                lambda: log.read_text().count(": django_scheduler ") == 2,
                "another one executed",
                timeout=START_TIMEOUT,
            )
        finally:
            supervisor.terminate()
            assert supervisor.wait(20) == 0
