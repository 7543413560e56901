"""Scheduled if and only if the transaction commits."""

from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.models import ScheduledFunction, State
from tests.functions import note, note_and_raise, write
from tests.models import Entry
from tests.support.elsewhere import elsewhere

pytestmark = pytest.mark.django_db(transaction=True)

#: For calls that a type checker would reject.
unchecked: Any = ctx


def labels_on_record():
    return [row.decoded_args()["label"] for row in ScheduledFunction.objects.order_by("pk")]


def test_nobody_else_sees_it_before_the_commit_and_everybody_after_it():
    with transaction.atomic():
        ctx.scheduler.run_after(0, write, label="a")
        ctx.scheduler.run_after_many(0, write, [{"label": "b"}])
        assert labels_on_record() == ["a", "b"]
        assert elsewhere(labels_on_record) == []
    assert elsewhere(labels_on_record) == ["a", "b"]


@pytest.mark.only_on("postgresql", "mysql")  # on SQLite an executor waits for the transaction to end
def test_it_never_runs_before_the_commit(execute_due):
    with transaction.atomic():
        function_id = ctx.scheduler.run_after(0, note, label="a")
        elsewhere(execute_due)
        assert ScheduledFunction.objects.get(pk=function_id).state == State.PENDING
        assert not Entry.objects.exists()
    elsewhere(execute_due)
    assert Entry.objects.get().function_id == function_id


def test_a_rollback_leaves_nothing_scheduled(execute_due):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        ctx.scheduler.run_after(0, write, label="a")
        ctx.scheduler.run_at_many(timezone.now(), write, [{"label": "b"}, {"label": "c"}])
        raise ZeroDivisionError
    assert labels_on_record() == []
    execute_due()
    assert not Entry.objects.exists()


def test_the_rollback_of_a_savepoint_takes_what_was_scheduled_in_it_and_nothing_else(execute_due):
    with transaction.atomic():
        ctx.scheduler.run_after(0, write, label="before")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            ctx.scheduler.run_after(0, write, label="within")
            with transaction.atomic():
                ctx.scheduler.run_after(0, write, label="deeper")
            raise ZeroDivisionError
        ctx.scheduler.run_after(0, write, label="after")
    assert labels_on_record() == ["before", "after"]
    execute_due()
    assert [entry.label for entry in Entry.objects.order_by("pk")] == ["before", "after"]


def test_a_savepoint_that_ends_well_keeps_what_was_scheduled_in_it():
    with transaction.atomic(), transaction.atomic(), transaction.atomic():
        ctx.scheduler.run_after(0, write, label="deep")
    assert labels_on_record() == ["deep"]


def test_outside_of_a_transaction_it_is_scheduled_whatever_happens_next():
    with pytest.raises(ZeroDivisionError):
        ctx.scheduler.run_after(0, write, label="a")
        raise ZeroDivisionError
    assert elsewhere(labels_on_record) == ["a"]


def test_in_an_action_it_is_scheduled_at_once_whatever_happens_next(execute_due):
    @action
    def schedule_and_raise(ctx: Context) -> None:
        ctx.scheduler.run_after(0, write, label="scheduled")
        assert elsewhere(lambda: ScheduledFunction.objects.filter(name="tests:write").exists())
        raise ZeroDivisionError

    function_id = ctx.scheduler.run_after(0, schedule_and_raise)
    execute_due()
    row = ScheduledFunction.objects.get(pk=function_id)
    assert (row.state, row.error) == (State.FAILED, "ZeroDivisionError")
    assert Entry.objects.get().label == "scheduled"
    assert ScheduledFunction.objects.get(name="tests:write").parent_id == function_id


def test_what_a_failed_mutation_has_scheduled_never_was():
    @mutation
    def schedule_and_raise(ctx: Context) -> None:
        ctx.scheduler.run_after(0, write, label="a")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ctx.run_mutation(schedule_and_raise)
    assert labels_on_record() == []


def test_a_call_that_fails_inside_of_a_transaction_leaves_the_transaction_usable():
    with transaction.atomic():
        ctx.scheduler.run_after(0, write, label="before")
        for wrong in [
            lambda: ctx.scheduler.run_after(-1, write, label="a"),
            lambda: unchecked.scheduler.run_after(0, write, color="a"),
            lambda: ctx.scheduler.run_after(0, "tests:nothing"),
            lambda: ctx.scheduler.run_after_many(0, note_and_raise, [{"label": "a"}, {"label": object()}]),
        ]:
            with pytest.raises((ValueError, TypeError, LookupError)):
                wrong()
        Entry.objects.create(label="after")
    assert labels_on_record() == ["before"]
    assert Entry.objects.count() == 1
