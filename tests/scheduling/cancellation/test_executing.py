import pytest
from django.db import connection, transaction

from django_scheduler import ctx
from django_scheduler.errors import AlreadyFinished
from django_scheduler.models import State
from tests.functions import write
from tests.models import Entry
from tests.scheduling.cancellation import functions
from tests.support.records import record
from tests.support.waiting import wait_until


def test_of_cancel_and_an_executing_mutation_one_wins(gate, start_executor, session):
    start_executor()
    function_id = ctx.scheduler.run_after(0, functions.write_at_gate, gate=gate.path)
    gate.wait_for_arrivals()
    cancel = session.begin(ctx.scheduler.cancel, function_id)
    if connection.vendor != "postgresql":  # there a cancel waits for the end of the mutation
        gate.open()
    error = cancel.exception(timeout=30)
    if error is None:
        assert record(function_id).state == State.CANCELED
        assert not Entry.objects.exists()
    else:
        assert isinstance(error, AlreadyFinished)
        assert record(function_id).state == State.SUCCESS
        assert Entry.objects.count() == 2


@pytest.mark.only_on("mysql", "sqlite")
def test_where_it_cannot_be_interrupted_cancel_waits_and_the_mutation_wins(gate, start_executor, session):
    start_executor()
    function_id = ctx.scheduler.run_after(0, functions.write_at_gate, gate=gate.path)
    gate.wait_for_arrivals()
    cancel = session.begin(ctx.scheduler.cancel, function_id)
    session.wait_until_it_waits()
    gate.open()
    with pytest.raises(AlreadyFinished, match="success"):
        cancel.result(timeout=30)
    assert record(function_id).state == State.SUCCESS
    assert Entry.objects.count() == 2


@pytest.mark.only_on("mysql", "sqlite")
def test_where_it_cannot_be_interrupted_a_mutation_that_raises_is_failed_or_canceled(gate, start_executor, session):
    start_executor()
    function_id = ctx.scheduler.run_after(0, functions.wait_at_gate_and_raise, gate=gate.path)
    gate.wait_for_arrivals()
    cancel = session.begin(ctx.scheduler.cancel, function_id)
    gate.open()
    error = cancel.exception(timeout=30)
    assert record(function_id).state == (State.CANCELED if error is None else State.FAILED)
    assert error is None or isinstance(error, AlreadyFinished)
    assert not Entry.objects.exists()


def test_the_executor_goes_on_after_a_cancel(gate, start_executor, session):
    start_executor(concurrency=1)
    function_id = ctx.scheduler.run_after(0, functions.write_at_gate, gate=gate.path)
    gate.wait_for_arrivals()
    cancel = session.begin(ctx.scheduler.cancel, function_id)
    if connection.vendor == "postgresql":
        cancel.result(timeout=30)
    gate.open()
    cancel.exception(timeout=30)
    next_one = ctx.scheduler.run_after(0, write, label="next")
    wait_until(lambda: record(next_one).state == State.SUCCESS, "the executor did the next one")


def test_a_rolled_back_cancel_of_an_executing_mutation_lets_it_run_again_or_lets_it_be(gate, start_executor, session):
    start_executor()
    function_id = ctx.scheduler.run_after(0, functions.write_at_gate, gate=gate.path)
    gate.wait_for_arrivals()

    def cancel_and_roll_back() -> None:
        with transaction.atomic():
            ctx.scheduler.cancel(function_id)
            transaction.set_rollback(True)

    cancel = session.begin(cancel_and_roll_back)
    if connection.vendor != "postgresql":  # there a cancel waits for the end of the mutation
        gate.open()
    cancel.exception(timeout=30)
    gate.open()
    wait_until(lambda: record(function_id).state == State.SUCCESS, "the mutation succeeded")
    assert Entry.objects.count() == 2
    ended = record(function_id)
    assert (ended.error, ended.traceback, ended.failure) == ("", "", "")
    assert ended.scheduled_time <= ended.due_time


@pytest.mark.only_on("postgresql", "mysql")
def test_cancel_of_a_pending_function_does_not_wait_for_those_that_execute(gate, start_executor, session):
    start_executor()
    ctx.scheduler.run_after(0, functions.write_at_gate, gate=gate.path)
    pending = ctx.scheduler.run_after(60_000, functions.write_at_gate, gate=gate.path)
    gate.wait_for_arrivals()
    session.do(ctx.scheduler.cancel, pending)
    assert record(pending).state == State.CANCELED
    assert not gate.is_open


def test_a_mutation_cancels_another_function_as_part_of_its_transaction(execute_due):
    succeeds = ctx.scheduler.run_after(60_000, write, label="canceled")
    fails = ctx.scheduler.run_after(60_000, write, label="not canceled")
    ctx.scheduler.run_after(0, functions.cancel_in_mutation, function_id=succeeds)
    ctx.scheduler.run_after(0, functions.cancel_in_mutation, function_id=fails, fail=True)
    execute_due()
    assert record(succeeds).state == State.CANCELED
    assert record(fails).state == State.PENDING
