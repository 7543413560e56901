import pytest
from django.db import transaction

from django_scheduler import ctx
from django_scheduler.models import State
from tests.functions import note, write
from tests.models import Entry


@pytest.mark.parametrize("function", [write, note])
def test_a_canceled_function_never_runs(function, execute_due, row):
    function_id = ctx.scheduler.run_after(0, function, label="never")
    ctx.scheduler.cancel(function_id)
    execute_due()
    canceled = row(function_id)
    assert canceled.state == State.CANCELED
    assert canceled.completed_time is not None
    assert (canceled.started_time, canceled.attempts, canceled.result) == (None, 0, None)
    assert not Entry.objects.exists()


def test_cancel_is_invisible_to_others_until_it_commits(state_of, session):
    function_id = ctx.scheduler.run_after(60_000, write, label="later")
    with transaction.atomic():
        ctx.scheduler.cancel(function_id)
        assert state_of(function_id) == State.CANCELED
        assert session.do(state_of, function_id) == State.PENDING
    assert session.do(state_of, function_id) == State.CANCELED


def test_a_function_whose_cancel_is_rolled_back_runs_after_all(execute_due, state_of):
    function_id = ctx.scheduler.run_after(0, write, label="after all")
    with transaction.atomic():
        ctx.scheduler.cancel(function_id)
        transaction.set_rollback(True)
    execute_due()
    assert state_of(function_id) == State.SUCCESS
    assert Entry.objects.get().label == "after all"


def test_a_function_whose_cancel_is_rolled_back_with_a_savepoint_runs_after_all(execute_due, state_of):
    kept = ctx.scheduler.run_after(0, write, label="kept")
    canceled = ctx.scheduler.run_after(0, write, label="canceled")
    with transaction.atomic():
        ctx.scheduler.cancel(canceled)
        with transaction.atomic():
            ctx.scheduler.cancel(kept)
            transaction.set_rollback(True)
    execute_due()
    assert (state_of(kept), state_of(canceled)) == (State.SUCCESS, State.CANCELED)
    assert Entry.objects.get().label == "kept"


def test_what_one_transaction_schedules_and_cancels_never_runs(execute_due, state_of):
    with transaction.atomic():
        function_id = ctx.scheduler.run_after(0, write, label="never")
        ctx.scheduler.cancel(function_id)
    execute_due()
    assert state_of(function_id) == State.CANCELED
    assert not Entry.objects.exists()


def test_canceling_again_changes_nothing(transactional_db, row):
    function_id = ctx.scheduler.run_after(0, write, label="never")
    ctx.scheduler.cancel(function_id)
    before = row(function_id)
    ctx.scheduler.cancel(function_id)
    assert row(function_id).completed_time == before.completed_time


@pytest.mark.only_on("postgresql", "mysql")
def test_an_executor_does_other_work_while_a_cancel_is_open(execute_due, session, state_of):
    held = ctx.scheduler.run_after(0, write, label="held")
    other = ctx.scheduler.run_after(0, write, label="other")
    session.open_transaction()
    session.do(ctx.scheduler.cancel, held)
    execute_due()
    assert (state_of(held), state_of(other)) == (State.PENDING, State.SUCCESS)
    session.commit()
    execute_due()
    assert state_of(held) == State.CANCELED


def test_only_the_function_that_is_meant_is_canceled(transactional_db, state_of):
    first, meant, last = ctx.scheduler.run_after_many(0, write, [{"label": str(number)} for number in range(3)])
    ctx.scheduler.cancel(meant)
    assert [state_of(i) for i in (first, meant, last)] == [State.PENDING, State.CANCELED, State.PENDING]
