"""A mutation's writes, its result, what it scheduled and canceled, and its success are one commit."""

import threading

import pytest
from django.db import connection

from django_scheduler import Context, ctx, mutation
from django_scheduler.models import ScheduledFunction, ScheduledFunctionId, State
from tests.functions import count_entries, write
from tests.models import Entry
from tests.support.in_process import executing
from tests.support.waiting import wait_until

done_writing = threading.Event()
may_return = threading.Event()


@mutation
def write_schedule_and_cancel(ctx: Context, *, victim: int) -> str:
    Entry.objects.create(label="written")
    ctx.scheduler.run_after(60_000, write, label="later")
    ctx.scheduler.cancel(ScheduledFunctionId(victim))
    done_writing.set()
    assert may_return.wait(20)
    return "done"


@pytest.fixture(autouse=True)
def _closed_gates():
    done_writing.clear()
    may_return.clear()


def test_nothing_is_seen_before_the_commit_and_everything_after_it(transactional_db):
    victim = ctx.scheduler.run_after(60_000, write, label="never")
    function_id = ctx.scheduler.run_after(0, write_schedule_and_cancel, victim=victim)

    with executing(concurrency=1):
        assert done_writing.wait(20)
        states = dict(ScheduledFunction.objects.values_list("pk", "state"))
        entries_before = Entry.objects.count()
        may_return.set()
        wait_until(
            lambda: ScheduledFunction.objects.filter(pk=function_id, state=State.SUCCESS).exists(), "it succeeded"
        )

    assert states == {victim: State.PENDING, function_id: State.PENDING}
    assert entries_before == 0
    row = ScheduledFunction.objects.get(pk=function_id)
    assert (row.decoded_result(), row.attempts, row.error, row.failure) == ("done", 1, "", "")
    assert row.started_time is not None
    assert row.completed_time is not None
    assert row.creation_time <= row.started_time <= row.completed_time
    assert Entry.objects.get().label == "written"
    assert ScheduledFunction.objects.get(pk=victim).state == State.CANCELED
    child = ScheduledFunction.objects.get(parent=row)
    assert (child.name, child.state) == ("tests:write", State.PENDING)


@pytest.mark.only_on("postgresql")
def test_one_transaction_id_is_on_everything_that_a_mutation_wrote(execute_due):
    victim = ctx.scheduler.run_after(60_000, write, label="never")
    may_return.set()
    function_id = ctx.scheduler.run_after(0, write_schedule_and_cancel, victim=victim)

    execute_due()

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT xmin::text FROM tests_entry UNION"
            " SELECT xmin::text FROM django_scheduler_scheduledfunction WHERE id = %s OR parent_id = %s",
            [function_id, function_id],
        )
        assert len(cursor.fetchall()) == 1


def test_what_a_mutation_schedules_at_once_runs_after_its_commit_and_sees_its_writes(execute_due):
    ctx.scheduler.run_after(0, "tests:write_then_schedule", label="first")

    execute_due()

    assert ScheduledFunction.objects.get(name=count_entries.name).decoded_result() == 1


def test_what_a_mutation_schedules_at_once_waits_for_its_commit(transactional_db):
    victim = ctx.scheduler.run_after(60_000, write, label="never")
    ctx.scheduler.run_after(0, write_schedule_count_and_wait, victim=victim)

    with executing(concurrency=4):
        assert done_writing.wait(20)
        write_id = ctx.scheduler.run_after(0, count_entries) if connection.vendor != "sqlite" else None
        if write_id is not None:  # others go on meanwhile, where there can be several writers
            wait_until(lambda: ScheduledFunction.objects.get(pk=write_id).state == State.SUCCESS, "another one ran")
        assert not ScheduledFunction.objects.filter(parent__isnull=False).exists()
        may_return.set()
        children = ScheduledFunction.objects.filter(parent__isnull=False, state=State.SUCCESS)
        wait_until(children.exists, "the child ran")

    assert children.get().decoded_result() == 1


@mutation
def write_schedule_count_and_wait(ctx: Context, *, victim: int) -> None:
    Entry.objects.create(label="written")
    ctx.scheduler.run_after(0, count_entries)
    done_writing.set()
    assert may_return.wait(20)
