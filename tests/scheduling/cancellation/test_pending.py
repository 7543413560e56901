import pytest
from django.db import transaction

from django_scheduler import ctx
from django_scheduler.models import State
from tests.functions import note, write
from tests.models import Entry
from tests.support.records import record


@pytest.mark.parametrize("function", [write, note])
def test_a_canceled_function_never_runs(function, execute_due):
    function_id = ctx.scheduler.run_after(0, function, label="never")
    ctx.scheduler.cancel(function_id)
    execute_due()
    canceled = record(function_id)
    assert canceled.state == State.CANCELED
    assert canceled.completed_time is not None
    assert (canceled.started_time, canceled.attempts, canceled.result) == (None, 0, None)
    assert not Entry.objects.exists()


def test_cancel_is_invisible_to_others_until_it_commits(session):
    function_id = ctx.scheduler.run_after(60_000, write, label="later")
    with transaction.atomic():
        ctx.scheduler.cancel(function_id)
        assert record(function_id).state == State.CANCELED
        assert session.do(record, function_id).state == State.PENDING
    assert session.do(record, function_id).state == State.CANCELED


def test_a_function_whose_cancel_is_rolled_back_runs_after_all(execute_due):
    function_id = ctx.scheduler.run_after(0, write, label="after all")
    with transaction.atomic():
        ctx.scheduler.cancel(function_id)
        transaction.set_rollback(True)
    execute_due()
    assert record(function_id).state == State.SUCCESS
    assert Entry.objects.get().label == "after all"


def test_a_function_whose_cancel_is_rolled_back_with_a_savepoint_runs_after_all(execute_due):
    kept = ctx.scheduler.run_after(0, write, label="kept")
    canceled = ctx.scheduler.run_after(0, write, label="canceled")
    with transaction.atomic():
        ctx.scheduler.cancel(canceled)
        with transaction.atomic():
            ctx.scheduler.cancel(kept)
            transaction.set_rollback(True)
    execute_due()
    assert (record(kept).state, record(canceled).state) == (State.SUCCESS, State.CANCELED)
    assert Entry.objects.get().label == "kept"


def test_what_one_transaction_schedules_and_cancels_never_runs(execute_due):
    with transaction.atomic():
        function_id = ctx.scheduler.run_after(0, write, label="never")
        ctx.scheduler.cancel(function_id)
    execute_due()
    assert record(function_id).state == State.CANCELED
    assert not Entry.objects.exists()


def test_canceling_again_changes_nothing(transactional_db):
    function_id = ctx.scheduler.run_after(0, write, label="never")
    ctx.scheduler.cancel(function_id)
    before = record(function_id)
    ctx.scheduler.cancel(function_id)
    assert record(function_id).completed_time == before.completed_time


@pytest.mark.only_on("postgresql", "mysql")
def test_an_executor_does_other_work_while_a_cancel_is_open(execute_due, session):
    held = ctx.scheduler.run_after(0, write, label="held")
    other = ctx.scheduler.run_after(0, write, label="other")
    session.open_transaction()
    session.do(ctx.scheduler.cancel, held)
    execute_due()
    assert (record(held).state, record(other).state) == (State.PENDING, State.SUCCESS)
    session.commit()
    execute_due()
    assert record(held).state == State.CANCELED


def test_only_the_function_that_is_meant_is_canceled(transactional_db):
    first, meant, last = ctx.scheduler.run_after_many(0, write, [{"label": str(number)} for number in range(3)])
    ctx.scheduler.cancel(meant)
    assert [record(i).state for i in (first, meant, last)] == [State.PENDING, State.CANCELED, State.PENDING]
