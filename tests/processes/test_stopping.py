"""SIGTERM and SIGINT: the first one asks, the second one, or the end of the grace period, insists."""

import signal
from typing import Any

import pytest

from django_scheduler import ctx
from django_scheduler.databases import Claimable, database_for
from django_scheduler.models import Executor, Failure, State
from tests.models import Entry
from tests.processes import functions
from tests.support.in_process import executing
from tests.support.records import record
from tests.support.waiting import wait_until

#: What an idle executor would sleep through if nobody woke it, in seconds.
LONG = {"POLL_INTERVAL": 3600, "HEARTBEAT_INTERVAL": 3600, "HEARTBEAT_TIMEOUT": 7200}


TABLE = "django_scheduler_executor"


def start(executors, gate, function, *arguments, **settings):
    executor = executors.start(*arguments, **settings)
    function_id = ctx.scheduler.run_after(0, function, label="once", gate=gate.path)
    wait_until(lambda: gate.arrivals == 1, "the function came to the gate")
    return executor, function_id


def end_by(executor, *signals):
    """Send it the signals, and wait until it has ended; its exit code."""
    executor.send(*signals)
    return executor.end()


def wait_until_idle(executor):
    """Wait until its start has ended, and it says that it executes nothing. (It is on record before.)"""
    function_id = ctx.scheduler.run_after(0, "tests:write", label="first")
    wait_until(lambda: record(function_id).state == State.SUCCESS, "it executed")
    executed = executor.row.heartbeat_time
    wait_until(lambda: executor.row.heartbeat_time > executed and not executor.row.running, "it was idle")


@pytest.mark.once
@pytest.mark.parametrize(("stop_signal", "is_forked"), [(signal.SIGTERM, False), (signal.SIGINT, True)])
def test_idle_executor_exits_and_leaves_no_row(executors, stop_signal, is_forked):
    executor = executors.start(is_forked=is_forked, **LONG)
    assert end_by(executor, stop_signal) == 0
    assert not Executor.objects.exists()
    assert f"Executor {executor.name} has stopped" in executor.log


@pytest.mark.once
@pytest.mark.parametrize(
    ("stop_signal", "function"),
    [(signal.SIGTERM, functions.write_and_wait), (signal.SIGINT, functions.note_and_wait)],
)
def test_first_signal_begins_nothing_new_and_lets_running_functions_end(executors, gate, stop_signal, function):
    executor, function_id = start(executors, gate, function)
    executor.send(stop_signal)
    executor.wait_until_logged("is stopping")
    if function is functions.note_and_wait:  # a mutation holds SQLite's only lock
        later_id = ctx.scheduler.run_after(0, "tests:write", label="later")
    gate.open()

    assert executor.end() == 0
    assert record(function_id).state == State.SUCCESS
    assert not Executor.objects.exists()
    if function is functions.note_and_wait:
        assert record(later_id).state == State.PENDING
        assert list(Entry.objects.values_list("label", flat=True)) == ["once"]


def test_claim_that_is_on_its_way_when_the_executor_is_stopped_begins_nothing(transactional_db, monkeypatch):
    database = type(database_for("default"))
    claim = database.claim
    claimed: list[int] = []

    def stop_and_claim(*arguments: Any, **keywords: Any) -> list[Claimable]:
        executor.stop()
        found = claim(*arguments, **keywords)
        claimed.extend(each.id for each in found)
        return found

    monkeypatch.setattr(database, "claim", stop_and_claim)
    with executing() as executor:
        function_id = ctx.scheduler.run_after(0, "tests:write", label="later")
        assert executor.wait(timeout=20)

    assert claimed == [function_id]
    assert (record(function_id).state, record(function_id).attempts) == (State.PENDING, 0)
    assert not Entry.objects.exists()


@pytest.mark.once
def test_heart_goes_on_beating_while_running_functions_end(executors, gate):
    executor, _ = start(executors, gate, functions.note_and_wait, HEARTBEAT_INTERVAL=0.2)
    executor.send(signal.SIGTERM)
    executor.wait_until_logged("is stopping")
    before = executor.row.heartbeat_time
    wait_until(lambda: executor.row.heartbeat_time > before, "it wrote a heartbeat")
    gate.open()
    assert executor.end() == 0


def assert_cut_off(executor, function_id, executors, gate):
    """A mutation leaves nothing, and runs later; an action is lost."""
    assert gate.departures == 0
    row = record(function_id)
    if row.kind == "action":
        assert (row.state, row.failure, row.executor) == (State.FAILED, Failure.LOST, executor.name)
        assert "was stopped before it ended" in row.error
        assert not Executor.objects.exists()
    else:
        assert (row.state, row.attempts) == (State.PENDING, 0)
        assert not Entry.objects.exists()
        gate.open()
        assert executors.launch("--once").end() == 0
        assert record(function_id).state == State.SUCCESS
        assert Entry.objects.count() == 1


@pytest.mark.parametrize("function", [functions.write_and_wait, functions.note_and_wait])
def test_function_that_exceeds_the_grace_period_is_cut_off(executors, gate, function):
    executor, function_id = start(executors, gate, function, "--grace=0.3")
    assert end_by(executor, signal.SIGTERM) == 1
    assert_cut_off(executor, function_id, executors, gate)


@pytest.mark.once
@pytest.mark.parametrize("function", [functions.write_and_wait, functions.note_and_wait])
def test_second_signal_cuts_off_at_once(executors, gate, function):
    executor, function_id = start(executors, gate, function, "--grace=600")
    executor.send(signal.SIGTERM)
    executor.wait_until_logged("is stopping")
    assert end_by(executor, signal.SIGINT) == 1
    assert f"Executor {executor.name} is cut off: its process ends now" in executor.log
    assert "has stopped" not in executor.log
    assert_cut_off(executor, function_id, executors, gate)


def test_action_beside_a_mutation_is_cut_off_too(executors, gate):
    executor, action_id = start(executors, gate, functions.note_and_wait, "--grace=0.3")
    mutation_id = ctx.scheduler.run_after(0, functions.write_and_wait, label="mutation", gate=gate.path)
    wait_until(lambda: gate.arrivals == 2, "the mutation came to the gate")

    assert end_by(executor, signal.SIGTERM) == 1

    assert record(mutation_id).state == State.PENDING
    gate.open()
    assert executors.launch("--once").end() == 0
    assert record(mutation_id).state == State.SUCCESS
    assert record(action_id).failure == Failure.LOST  # on SQLite the mutation was in the way of recording it before
    assert Entry.objects.count() == 2


@pytest.mark.once
def test_five_signals_in_a_row_end_an_idle_executor_as_one_does(executors):
    executor = executors.start(HEARTBEAT_INTERVAL=0.1)
    wait_until_idle(executor)
    assert end_by(executor, *[signal.SIGTERM, signal.SIGINT] * 2, signal.SIGTERM) == 0
    assert not Executor.objects.exists()


@pytest.mark.once
def test_five_signals_in_a_row_end_a_busy_executor(executors, gate):
    executor, function_id = start(executors, gate, functions.note_and_wait, "--grace=600")
    assert end_by(executor, *[signal.SIGTERM, signal.SIGINT] * 2, signal.SIGTERM) == 1
    assert_cut_off(executor, function_id, executors, gate)


@pytest.mark.only_on("postgresql")
def test_two_signals_while_it_is_put_on_record_leave_no_row(executors, session):
    session.open_transaction()
    session.execute(f"LOCK TABLE {TABLE} IN SHARE ROW EXCLUSIVE MODE")
    executor = executors.launch()
    wait_until(
        lambda: session.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND relation = %s::regclass", TABLE),
        "it was about to be put on record",
    )
    executor.send(signal.SIGINT, signal.SIGTERM)
    session.commit()
    assert executor.end() == 0
    assert not Executor.objects.exists()


@pytest.mark.once
def test_signal_right_at_the_start_is_heeded(executors):
    executor = executors.launch()
    wait_until(Executor.objects.exists, "it was on record")
    assert end_by(executor, signal.SIGTERM) == 0
    assert not Executor.objects.exists()
