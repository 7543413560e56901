"""Executing Django's tasks: at most once as actions, exactly once as mutations."""

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction
from django.tasks import TaskResultStatus, task
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.models import Failure, Kind, ScheduledFunction, State
from django_scheduler.scheduling.interventions import run_again
from django_scheduler.tasks.task import with_values
from tests.models import Entry
from tests.tasks import jobs


def row(result) -> ScheduledFunction:
    return ScheduledFunction.objects.get(pk=result.id)


@pytest.mark.parametrize("job", [jobs.add, jobs.add_async, jobs.add.using(backend="exactly_once")])
def test_task_is_executed(execute_due, job):
    result = job.enqueue(1, second=2)

    execute_due()

    result.refresh()
    assert (result.status, result.is_finished, result.return_value) == (TaskResultStatus.SUCCESSFUL, True, 3)
    assert result.enqueued_at <= result.started_at <= result.finished_at
    assert result.last_attempted_at == result.started_at
    assert result.attempts == 1
    assert result.worker_ids == [row(result).executor]
    assert result.errors == []


def test_result_is_refreshed_by_async_code():
    result = jobs.add.enqueue(1)
    ScheduledFunction.objects.filter(pk=result.id).update(state=State.IN_PROGRESS)

    async_to_sync(result.arefresh)()

    assert result.status == TaskResultStatus.RUNNING


def test_deferred_task_is_not_executed_before_its_time(execute_due):
    later = jobs.write.using(run_after=timezone.now() + timedelta(hours=1)).enqueue("later")
    past = jobs.write.using(run_after=timezone.now() - timedelta(hours=1)).enqueue("past")

    execute_due()

    later.refresh()
    past.refresh()
    assert (later.status, past.status) == (TaskResultStatus.READY, TaskResultStatus.SUCCESSFUL)
    assert [entry.label for entry in Entry.objects.all()] == ["past"]


def test_the_highest_priority_is_executed_first(execute_due):
    with transaction.atomic():
        for priority in [-100, 0, 100]:
            jobs.write.using(priority=priority).enqueue(str(priority))

    execute_due()

    assert [entry.label for entry in Entry.objects.order_by("pk")] == ["100", "0", "-100"]


def test_action_runs_outside_of_a_transaction_and_a_mutation_inside(execute_due):
    action, mutation = jobs.is_atomic.enqueue(), jobs.is_atomic_once.enqueue()

    execute_due()

    action.refresh()
    mutation.refresh()
    assert (action.return_value, mutation.return_value) == (False, True)


def test_task_runs_as_the_kind_that_it_was_enqueued_as(execute_due):
    result = jobs.is_atomic.using(backend="exactly_once").enqueue()

    execute_due()

    result.refresh()
    assert (row(result).kind, result.return_value) == (Kind.MUTATION, True)


def test_nothing_remains_of_a_mutation_that_raises(execute_due):
    kept, undone = jobs.note_and_refuse.enqueue("action"), jobs.write_and_refuse.enqueue("mutation")

    execute_due()

    assert [entry.label for entry in Entry.objects.all()] == ["action"]
    kept.refresh()
    undone.refresh()
    assert (kept.status, undone.status) == (TaskResultStatus.FAILED, TaskResultStatus.FAILED)


def test_task_that_a_task_enqueues_has_it_as_its_parent(execute_due):
    result = jobs.enqueue_another.enqueue("child")

    execute_due()

    result.refresh()
    child = ScheduledFunction.objects.get(pk=result.return_value)
    assert (child.parent_id, child.state) == (int(result.id), State.SUCCESS)


def test_task_takes_the_context(execute_due):
    result = jobs.look_around.using(queue_name="email", priority=7).enqueue(1, key="value")

    execute_due()

    result.refresh()
    assert result.return_value == {
        "id": result.id,
        "ctx": result.id,
        "attempt": 1,
        "status": "RUNNING",
        "workers": result.worker_ids,
        "started": True,
        "finished": False,
        "args": [1],
        "kwargs": {"key": "value"},
        "queue": "email",
        "priority": 7,
    }


def test_context_of_a_mutation_that_is_retried_counts_its_attempts(execute_due, settings):
    settings.DJANGO_SCHEDULER = {"BACKOFF_INITIAL": timedelta(microseconds=1)}
    result = jobs.try_three_times.enqueue()

    while row(result).state == State.PENDING:
        execute_due()

    result.refresh()
    assert (result.return_value, result.attempts) == (3, 3)
    assert [entry.label for entry in Entry.objects.all()] == ["attempt 3"]


@pytest.mark.usefixtures("no_grace")
def test_task_that_is_gone_is_missing(execute_due):
    result = jobs.add.enqueue(1)
    ScheduledFunction.objects.update(name="tests.tasks.jobs.removed")

    execute_due()

    assert (row(result).state, row(result).failure) == (State.FAILED, Failure.MISSING)
    assert "tests.tasks.jobs.removed" in row(result).error


@pytest.mark.usefixtures("no_grace")
@pytest.mark.parametrize(
    "name",
    ["tests.tasks.jobs.plain", "tests.no_such_module.add", "nonsense", "tests.tasks.broken.x", "tests.tasks.script.x"],
)
def test_name_of_what_is_no_task_is_missing(execute_due, name):
    result = jobs.add.enqueue(1)
    ScheduledFunction.objects.update(name=name)

    execute_due()

    assert row(result).failure == Failure.MISSING


def test_task_that_has_become_async_since_it_was_enqueued_as_a_mutation_fails_and_holds_up_nobody(execute_due):
    result = jobs.add_async.enqueue(1)
    ScheduledFunction.objects.filter(pk=result.id).update(kind=Kind.MUTATION)
    other = jobs.write.enqueue("other")

    execute_due()

    result.refresh()
    other.refresh()
    assert "add_async is async now, and was enqueued as a mutation" in result.errors[0].traceback
    assert (row(result).state, row(result).failure) == (State.FAILED, Failure.ERROR)
    assert other.status == TaskResultStatus.SUCCESSFUL
    assert [entry.label for entry in Entry.objects.all()] == ["other"]


@pytest.mark.usefixtures("no_grace")
def test_task_that_could_not_be_scheduled_any_more_is_missing_and_holds_up_nobody(execute_due, monkeypatch):
    result = jobs.add.enqueue(1)
    other = jobs.write.enqueue("other")
    monkeypatch.setattr(jobs, "add", with_values(jobs.add, queue_name="q" * 101))

    execute_due()

    other.refresh()
    assert (row(result).state, row(result).failure) == (State.FAILED, Failure.MISSING)
    assert other.status == TaskResultStatus.SUCCESSFUL


@pytest.mark.usefixtures("no_grace")
def test_arguments_that_no_longer_fit_fail_with_the_reason(execute_due):
    result = jobs.add.enqueue(1)
    ScheduledFunction.objects.update(args={"args": [], "kwargs": {}, "backend": "default"})

    execute_due()

    result.refresh()
    assert result.errors[0].exception_class_path == "django_scheduler.errors.InvalidArguments"
    assert "missing a required argument: 'first'" in result.errors[0].traceback


def test_backend_that_has_gone_from_the_settings_does_not_stop_what_was_enqueued(execute_due, settings):
    result = jobs.look_around.using(backend="any_queue", queue_name="elsewhere").enqueue()
    settings.TASKS = {"default": {"BACKEND": "django_scheduler.tasks.SchedulerBackend"}}

    execute_due()

    assert row(result).state == State.SUCCESS
    assert task(jobs.look_around.func, takes_context=True).get_result(result.id).backend == "any_queue"


def test_task_name_is_nothing_that_a_client_or_a_string_could_name():
    jobs.write.enqueue("x")

    with pytest.raises(LookupError):
        ctx.scheduler.run_after(0, "tests.tasks.jobs.write", args=["x"], kwargs={}, backend="default")


def test_task_runs_in_a_test_as_any_scheduled_function(scheduler):
    result = jobs.write_once.enqueue("in a test")

    scheduler.run_due()

    assert row(result).state == State.SUCCESS
    assert [entry.label for entry in Entry.objects.all()] == ["in a test"]


def test_finished_task_is_run_again_as_the_kind_that_it_was(execute_due):
    result = jobs.is_atomic.using(backend="exactly_once").enqueue()
    execute_due()

    run_again("default", [int(result.id)])

    again = ScheduledFunction.objects.latest("pk")
    assert (again.name, again.kind, again.state) == ("tests.tasks.jobs.is_atomic", Kind.MUTATION, State.PENDING)
