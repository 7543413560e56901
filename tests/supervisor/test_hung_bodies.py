"""Bodies that do not end although their time is up keep their threads. A process that has none left is replaced."""

import json
import re
import signal
from pathlib import Path

import pytest

from django_scheduler import ctx
from django_scheduler.models import Executor, Failure, State
from django_scheduler.status import status
from tests.supervisor import functions
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.usefixtures("short_grace"), pytest.mark.once]


@pytest.fixture
def short_grace(child_environment):
    """A body that does not react when its time is up is given up soon."""
    constants = {"django_scheduler.executor.budget.GRACE": 0.2, "django_scheduler.executor.budget.REPEAT": 0.1}
    child_environment["TEST_CONSTANTS"] = json.dumps(constants)


def hang(gate, function=functions.hang_in_an_action, number=1):
    """Have bodies hang, one after the other, and wait until each is on record as failed."""
    ids: list[int] = []
    while len(ids) < number:
        function_id = ctx.scheduler.run_after(0, function, gate=gate.path)
        wait_until(lambda: record(function_id).state == State.FAILED, "its timeout was recorded")  # noqa: B023
        assert record(function_id).failure == Failure.TIMEOUT
        if gate.arrivals > len(ids):  # else its time was up before it came to the gate
            ids.append(function_id)
    return ids


def wait_until_ended(process_ids):
    """Wait until nothing is left of the processes, so that a later signal is none to them."""
    paths = [Path(f"/proc/{process_id}") for process_id in process_ids]
    wait_until(lambda: not any(path.exists() for path in paths), "the old process ended")


def assert_it_works():
    function_id = ctx.scheduler.run_after(0, "tests:write", label="after")
    wait_until(lambda: record(function_id).state == State.SUCCESS, "it works")


@pytest.mark.parametrize("function", [functions.hang_in_an_action, functions.hang_in_a_mutation])
def test_process_is_replaced_when_bodies_that_do_not_end_hold_all_of_its_threads(supervise, gate, function):
    supervised = supervise("--grace=0.3")
    before = supervised.process_ids
    ids = hang(gate, function, number=2)

    assert_it_works()
    wait_until_ended(before)

    supervised.wait_until_logged("has no thread left that works: bodies that do not end hold them .* being replaced")
    assert all(f"{record(function_id).name} {function_id}" in supervised.log for function_id in ids)
    assert gate.departures == 0
    assert "has died" not in supervised.log
    assert supervised.stop() == 0


def test_process_goes_on_while_a_thread_is_left_and_the_status_says_how_many_are_held(supervise, gate):
    supervised = supervise("--grace=0.3", HEARTBEAT_INTERVAL=0.1)
    (hung_id,) = hang(gate)
    assert_it_works()
    wait_until(lambda: status().held_threads == 1, "its heartbeat said so")

    (executor,) = status().executors
    assert (executor.held_threads, executor.concurrency) == (1, 2)

    def running() -> list[tuple[int, bool]]:
        return [(each.id, each.is_given_up) for executor in status().executors for each in executor.running]

    wait_until(lambda: running() == [(hung_id, True)], "its heartbeat told of nothing else")
    gate.open()  # the body ends at last, and its thread works again
    wait_until(lambda: status().held_threads == 0, "its heartbeat said so")
    assert supervised.started == 1
    assert supervised.stop() == 0


def test_functions_whose_end_is_waited_for_end_in_the_old_process_however_long_they_take(supervise, new_gate):
    """The body that blocks the event loop is the reason; the grace is for what does not end."""
    gate, gate_of_hung = new_gate(), new_gate()
    supervised = supervise("--grace=0.2")
    before = supervised.process_ids
    healthy_id = ctx.scheduler.run_after(0, "tests:note_and_wait", label="healthy", gate=gate.path)
    gate.wait_for_arrivals()
    hang(gate_of_hung, functions.block_event_loop)
    supervised.wait_until_logged("has an event loop that runs nothing any more.* being replaced")
    supervised.wait_until_executing(2)
    supervised.wait_until_logged("is stopping")
    assert_it_works()
    async_id = ctx.scheduler.run_after(0, "tests:fork_in_a_coroutine", how="returns")
    wait_until(lambda: record(async_id).state == State.SUCCESS, "the new process has an event loop that works")

    assert record(healthy_id).state == State.IN_PROGRESS
    gate.open()
    wait_until(lambda: record(healthy_id).state == State.SUCCESS, "it ended in the old one")
    wait_until_ended(before)
    assert supervised.stop() == 0


def test_what_takes_longer_than_the_grace_is_not_cut_off_when_a_process_is_replaced(supervise, gate):
    supervised = supervise("--grace=0.1", "--max-functions=1")
    before = supervised.process_ids
    long_id = ctx.scheduler.run_after(0, "tests:note_and_wait", label="long", gate=gate.path)
    gate.wait_for_arrivals()
    ctx.scheduler.run_after(0, "tests:write", label="one")
    supervised.wait_until_logged("is stopping")
    for _ in range(2):  # the second one is executed by the third process, much later than the grace
        assert_it_works()
    assert record(long_id).state == State.IN_PROGRESS
    assert before & supervised.process_ids
    gate.open()
    wait_until(lambda: record(long_id).state == State.SUCCESS, "it ended in the old one")
    wait_until_ended(before)  # its worker still has what follows the end, for which this grace may be too short
    assert supervised.stop() == 0


def test_without_a_supervisor_the_executor_ends_with_an_exit_code_that_has_it_started_again(executors, gate):
    executor = executors.start()
    ids = hang(gate, number=2)
    assert executor.end() == 1
    assert re.search(r"CRITICAL Executor \S+ has no thread left that works: .* exit code 1", executor.log)
    assert all(f"tests:hang_in_an_action {function_id}" in executor.log for function_id in ids)
    assert not Executor.objects.exists()


def test_without_a_supervisor_what_still_works_has_the_grace(executors, new_gate):
    gate, gate_of_hung = new_gate(), new_gate()
    executor = executors.start("--grace=600")
    healthy_id = ctx.scheduler.run_after(0, "tests:note_and_wait", label="healthy", gate=gate.path)
    gate.wait_for_arrivals()
    hang(gate_of_hung, functions.block_event_loop)
    executor.wait_until_logged("is stopping")
    gate.open()
    assert executor.end() == 1
    assert record(healthy_id).state == State.SUCCESS


def test_signal_ends_a_process_whose_bodies_do_not_end(supervise, gate):
    supervised = supervise("--grace=0.3")
    hang(gate)
    supervised.send(signal.SIGTERM)
    assert supervised.end() == 1
    assert not Executor.objects.exists()
