from datetime import timedelta

import pytest
from django.db import transaction

from django_scheduler import ctx
from django_scheduler.errors import AlreadyFinished, SchedulerError, UnknownScheduledFunction
from django_scheduler.models import ScheduledFunction, State
from tests.functions import note, note_and_raise, write, write_and_raise
from tests.models import Entry
from tests.support.records import record


@pytest.mark.parametrize(
    ("function", "state"),
    [(write, State.SUCCESS), (write_and_raise, State.FAILED), (note, State.SUCCESS), (note_and_raise, State.FAILED)],
)
def test_what_has_finished_cannot_be_canceled(function, state, execute_due):
    function_id = ctx.scheduler.run_after(0, function, label="done")
    execute_due()
    before = record(function_id)
    with pytest.raises(AlreadyFinished) as error:
        ctx.scheduler.cancel(function_id)
    for part in (function.name, str(function_id), state.value):
        assert part in str(error.value)
    after = record(function_id)
    assert (after.state, after.completed_time) == (state, before.completed_time)


def test_a_function_that_no_longer_exists_is_canceled_like_any_other(transactional_db):
    function_id = ctx.scheduler.run_after(60_000, write, label="later")
    ScheduledFunction.objects.update(name="tests:gone")
    ctx.scheduler.cancel(function_id)
    assert record(function_id).state == State.CANCELED


def test_an_id_that_never_existed_is_unknown(transactional_db):
    for function_id in (0, -1, 987_654_321, 2**63 - 1, 2**63, -(2**63), 2**70):
        with pytest.raises(UnknownScheduledFunction) as error:
            ctx.scheduler.cancel(function_id)
        assert str(function_id) in str(error.value)
        assert isinstance(error.value, LookupError)
        assert isinstance(error.value, SchedulerError)


def test_an_id_that_was_rolled_back_is_unknown(transactional_db):
    with transaction.atomic():
        function_id = ctx.scheduler.run_after(0, write, label="gone")
        transaction.set_rollback(True)
    with pytest.raises(UnknownScheduledFunction):
        ctx.scheduler.cancel(function_id)


def test_an_id_whose_retention_has_passed_is_unknown(execute_due, settings):
    settings.DJANGO_SCHEDULER = {"RETENTION": timedelta(microseconds=1)}
    function_id = ctx.scheduler.run_after(0, write, label="forgotten")
    execute_due()
    execute_due()  # this one's retention finds it
    assert not ScheduledFunction.objects.exists()
    with pytest.raises(UnknownScheduledFunction):
        ctx.scheduler.cancel(function_id)


@pytest.mark.parametrize("function_id", ["1", 1.0, None, True, b"1", (1,)])
def test_what_is_not_an_id_is_a_type_error(function_id, transactional_db):
    with pytest.raises(TypeError, match=type(function_id).__name__):
        ctx.scheduler.cancel(function_id)


def test_the_callers_transaction_goes_on_after_a_cancel_that_was_refused(execute_due):
    finished = ctx.scheduler.run_after(0, write, label="finished")
    execute_due()
    with transaction.atomic():
        with pytest.raises(UnknownScheduledFunction):
            ctx.scheduler.cancel(987_654_321)
        with pytest.raises(AlreadyFinished):
            ctx.scheduler.cancel(finished)
        Entry.objects.create(label="went on")
    assert Entry.objects.filter(label="went on").exists()
