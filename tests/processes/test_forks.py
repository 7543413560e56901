"""A process that a body forks has no part in its executor: not in its sessions, and not in its work."""

import pytest

from django_scheduler import ctx
from django_scheduler.models import State
from tests.models import Entry
from tests.processes import functions
from tests.support.records import record
from tests.support.waiting import wait_until


@pytest.mark.only_on("postgresql", "mysql")
@pytest.mark.parametrize(
    ("function", "how"),
    [
        *((functions.start_a_process, how) for how in functions.WAYS_TO_START),
        (functions.start_a_process_from_a_coroutine, "os.system"),
    ],
)
def test_process_that_an_action_has_started_keeps_no_mutation_locked(executors, new_gate, function, how):
    gate, gate_of_process = new_gate(), new_gate()
    executor = executors.start()
    mutation_id = ctx.scheduler.run_after(0, functions.write_and_wait, label="locked", gate=gate.path)
    gate.wait_for_arrivals()
    ctx.scheduler.run_after(0, function, how=how, gate=gate_of_process.path)
    gate_of_process.wait_for_arrivals()

    executor.kill()
    successor = executors.start()

    gate.wait_for_arrivals(2)  # the process is still there, and the mutation runs again
    assert gate_of_process.departures == 0
    gate.open()
    wait_until(lambda: record(mutation_id).state == State.SUCCESS, "the next executor ran it")
    assert Entry.objects.count() == 1
    gate_of_process.open()
    if how != "os.system":
        gate_of_process.wait_for_departures()
    assert successor.stop() == 0


@pytest.mark.parametrize(("how", "code"), [("returns", 0), ("exits", 7), ("raises", 1)])
def test_process_that_comes_back_from_the_body_ends_there_and_only_its_parent_goes_on(executors, how, code):
    executor = executors.start(concurrency=1)
    forking = [functions.write_and_fork, functions.note_and_fork, functions.fork_in_a_coroutine]
    ids = [ctx.scheduler.run_after(0, function, how=how) for function in forking]
    wait_until(lambda: all(record(each).completed_time for each in ids), "they ended")

    assert executor.stop() == 0
    for row in map(record, ids):
        assert (row.state, row.decoded_result(), row.attempts) == (State.SUCCESS, code, 1), row.error
        assert executor.log.count(f"{row.name} {row.pk}: ") == 1
    assert Entry.objects.count() == len(forking)


@pytest.mark.only_on("postgresql", "mysql")
def test_process_that_is_forked_has_a_session_of_its_own(executors):
    executor = executors.start()
    function_id = ctx.scheduler.run_after(0, functions.fork_and_write)
    wait_until(lambda: record(function_id).completed_time, "it ended")

    assert (record(function_id).state, record(function_id).decoded_result()) == (State.SUCCESS, 0), executor.log
    assert {entry.label for entry in Entry.objects.all()} == {"parent", "forked"}
    assert executor.stop() == 0


def test_process_that_a_coroutine_forks_does_not_go_on_with_other_bodies(executors, gate):
    executor = executors.start()
    other_id = ctx.scheduler.run_after(0, functions.note_until_open, gate=gate.path)
    gate.wait_for_arrivals()
    function_id = ctx.scheduler.run_after(0, functions.fork_and_await)
    wait_until(lambda: record(function_id).completed_time, "it ended")
    gate.open()
    wait_until(lambda: record(other_id).state == State.SUCCESS, "the other one ended")

    assert record(function_id).decoded_result() == 0
    assert set(gate.process_ids) == {executor.process_id}
    assert executor.stop() == 0
