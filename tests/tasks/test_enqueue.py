"""Enqueueing Django's tasks: as part of the transaction, and refusing what could not be executed."""

import dataclasses
import datetime as dt
import pickle
from datetime import timedelta
from typing import Any

import django
import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.tasks import TaskResultStatus, default_task_backend, task, task_backends
from django.tasks.exceptions import InvalidTask, TaskResultMismatch
from django.utils import timezone
from django.utils.functional import lazystr
from django.utils.safestring import SafeString

from django_scheduler import ctx
from django_scheduler.errors import InvalidArguments, InvalidSchedule, TooManyScheduled
from django_scheduler.models import Kind, ScheduledFunction, State
from django_scheduler.record.pending_calls import check_pending_calls
from django_scheduler.tasks import SchedulerBackend, SchedulerTask
from tests.tasks import jobs

#: The same without types: what a wrong call says at run time.
add: Any = jobs.add


def of_kind(job: Any, kind: str) -> Any:
    return dataclasses.replace(job, kind=kind)


def row(result) -> ScheduledFunction:
    return ScheduledFunction.objects.get(pk=result.id)


def test_backend_is_used_by_its_alias():
    assert default_task_backend == task_backends["default"]
    assert isinstance(task_backends["default"], SchedulerBackend)
    assert default_task_backend.alias == "default"
    assert default_task_backend.options == {}


@pytest.mark.parametrize("job", [jobs.whatever, jobs.add_async])
def test_enqueued_task_is_ready(job):
    result = job.enqueue(1, second=3)

    assert result.status == TaskResultStatus.READY
    assert not result.is_finished
    assert result.enqueued_at is not None
    assert (result.started_at, result.last_attempted_at, result.finished_at) == (None, None, None)
    with pytest.raises(ValueError, match="Task has not finished yet"):
        _ = result.return_value
    assert result.task == job
    assert (result.args, result.kwargs) == ([1], {"second": 3})
    assert (result.attempts, result.worker_ids, result.errors) == (0, [], [])
    assert result.backend == "default"


def test_task_is_enqueued_by_async_code():
    result = async_to_sync(jobs.add.aenqueue)(1)

    assert (result.status, result.args) == (TaskResultStatus.READY, [1])
    assert async_to_sync(jobs.add.aget_result)(result.id) == result


def test_record_shows_the_name_and_the_arguments_of_the_task():
    record = row(jobs.add.using(queue_name="email", priority=-100).enqueue(1, second=2))

    assert record.name == "tests.tasks.jobs.add"
    assert (record.kind, record.state) == (Kind.ACTION, State.PENDING)
    assert record.args == {"args": [1], "kwargs": {"second": 2}, "backend": "default"}
    assert (record.queue, record.priority) == ("email", -100)


def test_task_is_enqueued_if_and_only_if_the_transaction_commits():
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            jobs.write.enqueue("undone with the savepoint")
            raise ZeroDivisionError
        jobs.write.enqueue("kept")
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        jobs.write.enqueue("undone")
        raise ZeroDivisionError

    assert [each.decoded_args()["args"] for each in ScheduledFunction.objects.all()] == [["kept"]]


def test_enqueueing_is_counted_against_the_limits_of_the_transaction(settings):
    settings.DJANGO_SCHEDULER = {"MAX_SCHEDULED_PER_TRANSACTION": 1}
    with transaction.atomic():
        jobs.write.enqueue("first")
        with pytest.raises(TooManyScheduled, match=r"tests\.tasks\.jobs\.write was not scheduled"):
            jobs.write.enqueue("second")


def test_enqueued_task_is_canceled_as_any_scheduled_function():
    result = jobs.write.enqueue("never")

    ctx.scheduler.cancel(int(result.id))

    result.refresh()
    assert (result.status, result.is_finished) == (TaskResultStatus.FAILED, True)
    assert result.errors[0].exception_class.__name__ == "Canceled"


def test_task_is_deferred():
    later = timezone.now() + timedelta(hours=1)

    result = jobs.add.using(run_after=later).enqueue(1)

    assert row(result).scheduled_time == later
    assert result.task.run_after == later
    assert jobs.add.get_result(result.id) == result


def test_time_that_is_too_far_away_is_refused():
    with pytest.raises(InvalidSchedule):
        jobs.add.using(run_after=timezone.now() + timedelta(days=6 * 366)).enqueue(1)
    assert not ScheduledFunction.objects.exists()


@pytest.mark.parametrize("value", [dt.datetime(2026, 1, 1), object(), {1, 2}, lazystr("lazy"), [dt.date(2026, 1, 1)]])
def test_argument_that_json_does_not_have_is_refused(value):
    with pytest.raises(TypeError, match="Unsupported type"):
        jobs.whatever.enqueue(value)
    with pytest.raises(TypeError, match="Unsupported type"):
        jobs.whatever.enqueue(key=value)
    assert not ScheduledFunction.objects.exists()


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(ValueError, match="Unsupported value"):
        jobs.whatever.enqueue(b"\xff")


def test_argument_that_json_does_not_have_is_refused_in_async_code():
    with pytest.raises(TypeError, match="Unsupported type"):
        async_to_sync(jobs.whatever.aenqueue)(dt.datetime(2026, 1, 1))


def test_arguments_that_do_not_fit_the_task_are_refused_at_once():
    with pytest.raises(InvalidArguments, match=r"tests\.tasks\.jobs\.add\(first, second=0\) cannot be called"):
        add.enqueue()
    with pytest.raises(InvalidArguments, match="unexpected keyword argument 'third'"):
        add.enqueue(1, third=3)
    with pytest.raises(InvalidArguments, match="multiple values"):
        jobs.look_around.enqueue(context=None)
    assert not ScheduledFunction.objects.exists()


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ((1, 2), [1, 2]),
        (b"abc", "abc"),
        (SafeString("<b>"), "<b>"),
        ({"a": (1, {"b": None})}, {"a": [1, {"b": None}]}),
        (2**80, 2**80),
        ("\x00 \ud800", "\x00 \ud800"),
        ({"$model": ["auth.user", 1, "default"]}, {"$model": ["auth.user", 1, "default"]}),
    ],
)
def test_arguments_come_as_json_has_them(execute_due, given, taken):
    result = jobs.whatever.enqueue(given, key=given)

    execute_due()

    result.refresh()
    assert result.return_value == [[taken], {"key": taken}]
    assert type(result.return_value[0][0]) is type(taken)


def test_queue_that_the_backend_does_not_have_is_refused():
    with pytest.raises(InvalidTask, match="Queue 'elsewhere' is not valid for backend"):
        jobs.add.using(queue_name="elsewhere")
    assert jobs.add.using(queue_name="elsewhere", backend="any_queue").enqueue(1).task.queue_name == "elsewhere"


def test_task_is_validated_again_when_it_is_enqueued(settings):
    job = jobs.add.using(queue_name="email")
    settings.TASKS = {"default": {"BACKEND": "django_scheduler.tasks.SchedulerBackend"}}

    with pytest.raises(InvalidTask, match="Queue 'email' is not valid for backend"):
        job.enqueue(1)


@pytest.mark.parametrize("priority", [-101, 101, 3.1])
def test_priority_that_cannot_be_is_refused(priority):
    with pytest.raises(InvalidTask, match="priority must be a whole number between -100 and 100"):
        jobs.add.using(priority=priority)


def test_naive_time_is_refused():
    with pytest.raises(InvalidTask, match="run_after must be an aware datetime"):
        jobs.add.using(run_after=dt.datetime(2026, 1, 1))


def test_function_that_cannot_be_found_again_is_refused():
    with pytest.raises(InvalidTask, match="Task function must be defined at a module level"):
        task(lambda: None)
    with pytest.raises(InvalidTask, match=r"tests\.tasks\.jobs\.plain is not this task"):
        task(jobs.plain).enqueue()


def test_async_mutation_is_refused():
    with pytest.raises(InvalidTask, match="a task of the kind 'mutation' is a plain function"):
        jobs.add_async.using(backend="exactly_once")


def test_context_must_be_the_first_parameter():
    with pytest.raises(InvalidTask, match="does not have a first argument of 'context'"):
        decorator: Any = task(takes_context=True)
        decorator(jobs.plain)


def test_kind_comes_from_the_backend_or_from_the_task():
    assert row(jobs.add.using(backend="exactly_once").enqueue(1)).kind == Kind.MUTATION
    assert row(of_kind(jobs.add, "mutation").enqueue(1)).kind == Kind.MUTATION
    assert row(of_kind(jobs.write_once, "action").enqueue("x")).kind == Kind.ACTION
    with pytest.raises(InvalidTask, match="kind must be 'mutation' or 'action', not 'query'"):
        of_kind(jobs.add, "query")


@pytest.mark.skipif(django.VERSION < (6, 1), reason="the decorator of Django 6.0 takes no further options")
def test_kind_is_given_to_the_decorator():
    decorator: Any = task
    job = decorator(kind="mutation")(jobs.add.func)

    assert (type(job), job.kind) == (SchedulerTask, "mutation")
    assert job.using(priority=1).kind == "mutation"
    with pytest.raises(TypeError):
        decorator(kinds="mutation")(jobs.add.func)


def test_task_of_another_backend_can_be_enqueued_here():
    job = task(backend="dummy")(jobs.add.func)

    assert row(job.using(backend="exactly_once").enqueue(1)).kind == Kind.MUTATION


@pytest.mark.skipif(django.VERSION < (6, 1), reason="Django 6.0 cannot pickle tasks, and a result has its task")
def test_tasks_and_results_can_be_pickled():
    result = jobs.add.enqueue(1)

    assert pickle.loads(pickle.dumps(jobs.add)) == jobs.add
    assert pickle.loads(pickle.dumps(result)) == result


def test_result_belongs_to_its_task():
    result = jobs.add.enqueue(1)

    assert jobs.add.get_result(result.id) == result
    with pytest.raises(TaskResultMismatch):
        jobs.write.get_result(result.id)


def test_sound_configuration_passes_the_check():
    for backend in task_backends.all():
        assert list(backend.check()) == []


@pytest.mark.parametrize(
    ("options", "error", "hint"),
    [
        ({"Kind": "mutation"}, "E202", "Did you mean 'kind'?"),
        ({"kind": "query"}, "E203", "'mutation' (exactly once)"),
        ({"database": "nowhere"}, "E204", "default"),
        ({"max_attempts": 0}, "E205", "max_attempts"),
    ],
)
def test_check_tells_what_is_wrong_with_the_options(settings, options, error, hint):
    settings.TASKS = {
        "default": {"BACKEND": "django_scheduler.tasks.SchedulerBackend", "OPTIONS": options},
    }

    (message,) = default_task_backend.check()

    assert message.id == f"django_scheduler.{error}"
    assert hint in message.hint


def test_check_tells_that_the_app_is_not_installed(settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app not in ("django_scheduler", "tests")]

    assert [message.id for message in default_task_backend.check()] == ["django_scheduler.E201"]


def test_unknown_kind_is_refused_before_anything_is_enqueued(settings):
    settings.TASKS = {
        "default": {"BACKEND": "django_scheduler.tasks.SchedulerBackend", "OPTIONS": {"kind": "query"}},
    }
    with pytest.raises((InvalidTask, ImproperlyConfigured)):
        jobs.add.enqueue(1)


def test_deployment_that_breaks_a_pending_task_is_told_before():
    sound, gone, other = jobs.add.enqueue(1), jobs.write.enqueue("x"), jobs.add.enqueue(1)
    ScheduledFunction.objects.filter(pk=gone.id).update(name="tests.tasks.jobs.removed")
    ScheduledFunction.objects.filter(pk=other.id).update(args={"args": [], "kwargs": {}, "backend": "default"})

    findings = check_pending_calls("default")

    assert findings.looked_at == 3
    reasons = sorted(problem.reason for problem in findings.listed())
    assert "'tests.tasks.jobs.removed'" in reasons[0]
    assert reasons[1].startswith("tests.tasks.jobs.add(first, second=0) cannot be called like this: missing")
    assert len(reasons) == 2
    assert sound.status == TaskResultStatus.READY
