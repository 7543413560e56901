"""Results of Django's tasks: what was returned, what went wrong, and what cannot be told."""

from typing import Any

import django
import pytest
from asgiref.sync import async_to_sync
from django.tasks import TaskResultStatus, default_task_backend, task
from django.tasks.exceptions import InvalidTask, TaskResultDoesNotExist

from django_scheduler import Backoff, ctx
from django_scheduler.models import Failure, ScheduledFunction, State
from tests.functions import write
from tests.tasks import jobs


@pytest.fixture
def execute(execute_due):
    def execute(job, *args):
        result = job.enqueue(*args)
        execute_due()
        result.refresh()
        return result

    return execute


@pytest.mark.parametrize(
    ("job", "path", "end"),
    [
        (jobs.note_and_refuse, "tests.tasks.jobs.Refused", "tests.tasks.jobs.Refused: x went wrong\n"),
        (jobs.write_and_refuse, "tests.tasks.jobs.Refused", "Refused: x is not to be\neven in two lines\n"),
    ],
)
def test_error_is_shown_with_its_class_and_its_traceback(execute, job, path, end):
    result = execute(job, "x")

    assert (result.status, result.is_finished) == (TaskResultStatus.FAILED, True)
    with pytest.raises(ValueError, match="Task failed"):
        _ = result.return_value
    (error,) = result.errors
    assert error.exception_class_path == path
    assert error.exception_class is jobs.Refused
    assert error.traceback.endswith(end)
    assert result.enqueued_at <= result.started_at <= result.finished_at


@pytest.mark.parametrize(
    ("job", "error_class"),
    [
        (jobs.leave, SystemExit),
        (jobs.nest_errors, jobs.Refused),
        (jobs.raise_group, ExceptionGroup),
        (jobs.refuse_with_spoofed_text, ValueError),
        (jobs.give_function, TypeError),
        (jobs.give_much, ValueError),
    ],
)
def test_class_of_the_error_is_the_one_that_was_raised(execute, job, error_class):
    (error,) = execute(job).errors

    assert error.exception_class is error_class


def test_return_value_that_json_does_not_have_is_a_failure(execute):
    result = execute(jobs.give_function)

    assert (result.status, result._return_value) == (TaskResultStatus.FAILED, None)
    assert "Unsupported type" in result.errors[0].traceback


def test_return_value_comes_as_json_has_it(execute):
    assert execute(jobs.give_plain).return_value == {"text": "<b>", "tuple": [1, 2], "bytes": "abc", "none": None}
    assert execute(jobs.give_text_like_json).return_value == '{"a": 1}'


@pytest.mark.parametrize("unknown", ["123456", "", "-1", "none", "1.0", "٣", str(2**63), "9" * 5000, None])
def test_result_that_does_not_exist(unknown):
    with pytest.raises(TaskResultDoesNotExist):
        default_task_backend.get_result(unknown)


def test_result_that_does_not_exist_in_async_code():
    with pytest.raises(TaskResultDoesNotExist):
        async_to_sync(default_task_backend.aget_result)("123456")


def test_scheduled_function_that_is_no_task_has_no_result():
    function_id = ctx.scheduler.run_after(0, write, label="no task")

    with pytest.raises(TaskResultDoesNotExist):
        default_task_backend.get_result(str(function_id))


def test_result_of_a_task_that_is_gone_does_not_exist():
    result = jobs.add.enqueue(1)
    ScheduledFunction.objects.update(name="tests.tasks.jobs.removed")

    with pytest.raises(TaskResultDoesNotExist):
        result.refresh()


def test_lost_action_has_failed_with_lost():
    result = jobs.add.enqueue(1)
    ScheduledFunction.objects.update(state=State.FAILED, failure=Failure.LOST, error="Lost: its process has ended")

    result.refresh()

    assert (result.status, result.errors[0].exception_class_path) == ("FAILED", "django_scheduler.errors.Lost")
    assert result.errors[0].traceback == "Lost: its process has ended\n"


def test_each_attempt_has_its_worker_and_its_error(transactional_db):
    result = jobs.note_and_refuse.enqueue("x")
    attempt = {"time": "2030-01-01T10:00:00+00:00", "executor": "first", "error": "ValueError: not yet"}
    row = ScheduledFunction.objects.filter(pk=result.id)
    row.update(state=State.SUCCESS, attempts=3, executor="last", failures=2, history=[attempt] * 2, result=7)
    result.refresh()

    assert result.worker_ids == ["first", "first", "last"]
    assert [error.exception_class for error in result.errors] == [ValueError] * 2
    assert result.errors[0].traceback == "ValueError: not yet\n"

    row.update(state=State.FAILED, failure=Failure.ERROR, error="KeyError: 'x'", attempts=5)
    result.refresh()
    assert result.worker_ids == ["first", "first", "first", "first", "last"]
    assert [error.exception_class for error in result.errors] == [ValueError, ValueError, KeyError]


@pytest.fixture
def three_attempts(settings) -> None:
    settings.TASKS = {
        "default": {
            "BACKEND": "django_scheduler.tasks.SchedulerBackend",
            "QUEUES": [],
            "OPTIONS": {"max_attempts": 3, "backoff": Backoff(initial=0)},
        }
    }


def test_task_is_tried_as_often_as_its_backend_says(execute_due, three_attempts):
    result = jobs.note_and_refuse.enqueue("x")

    for _ in range(3):
        execute_due()
    result.refresh()

    assert result.status is TaskResultStatus.FAILED
    assert len(result.errors) == 3
    assert result.errors[-1].exception_class is jobs.Refused
    assert (result.attempts, len(result.worker_ids)) == (3, 3)
    assert ScheduledFunction.objects.get().attempts == 3


@pytest.mark.skipif(django.VERSION < (6, 1), reason="The decorator of Django 6.0 takes no further options.")
def test_task_says_itself_how_often_it_is_tried(execute_due, monkeypatch):
    decorate: Any = task
    tried_twice = decorate(max_attempts=2, backoff=Backoff(initial=0))(jobs.note_and_refuse.func)
    monkeypatch.setattr(jobs, "note_and_refuse", tried_twice)
    result = tried_twice.enqueue("x")

    for _ in range(2):
        execute_due()
    result.refresh()

    assert len(result.errors) == 2


def test_attempts_that_cannot_be_are_refused(settings):
    settings.TASKS = {
        "default": {"BACKEND": "django_scheduler.tasks.SchedulerBackend", "QUEUES": [], "OPTIONS": {"max_attempts": 0}}
    }
    with pytest.raises(InvalidTask, match="cannot be tried again"):
        jobs.note_and_refuse.enqueue("x")
