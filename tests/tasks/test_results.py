"""Results of Django's tasks: what was returned, what went wrong, and what cannot be told."""

import pytest
from asgiref.sync import async_to_sync
from django.tasks import TaskResultStatus, default_task_backend
from django.tasks.exceptions import TaskResultDoesNotExist

from django_scheduler import ctx
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
