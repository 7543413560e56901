"""Whoever is woken at three in the morning: the errors' families, and what they say."""

import inspect
from typing import Any

import pytest

from django_scheduler import ctx, errors
from django_scheduler.errors import SchedulerError
from django_scheduler.models import ScheduledFunction
from tests.functions import write

#: For calls that a type checker would reject.
unchecked: Any = ctx


ERRORS = [
    ("InvalidSchedule", ValueError),
    ("InvalidArguments", TypeError),
    ("FunctionNotFound", LookupError),
    ("TooManyScheduled", SchedulerError),
    ("ArgumentsTooLarge", SchedulerError),
    ("InvalidContext", ValueError),
    ("AlreadyFinished", SchedulerError),
    ("UnknownScheduledFunction", LookupError),
    ("CannotCancelSelf", SchedulerError),
    ("BrokenTransaction", SchedulerError),
    ("TransientError", SchedulerError),
    ("ApplicationError", SchedulerError),
    ("Canceled", SchedulerError),
    ("AlreadyStarted", SchedulerError),
    ("NotFinished", SchedulerError),
    ("CannotRunAgain", SchedulerError),
    ("Lost", SchedulerError),
    ("CronExists", SchedulerError),
    ("UnknownCron", LookupError),
    ("CronDefinedInCode", SchedulerError),
    ("CronUnfinished", SchedulerError),
]


@pytest.mark.parametrize(("name", "also"), ERRORS)
def test_every_error_is_a_scheduler_error_and_what_python_would_call_it(name, also):
    error = getattr(errors, name)
    assert issubclass(error, SchedulerError)
    assert issubclass(error, also)
    assert inspect.getdoc(error)


def test_there_are_no_others():
    classes = {name: value for name, value in vars(errors).items() if inspect.isclass(value)}
    defined = {name for name, value in classes.items() if value.__module__ == errors.__name__}
    assert defined == {"SchedulerError", "TimedOut", *(name for name, _ in ERRORS)}


def test_body_that_catches_exceptions_does_not_catch_the_end_of_its_time():
    assert not issubclass(errors.TimedOut, Exception)


def test_each_says_on_what_and_what_to_do(execute_due, settings):
    finished = ctx.scheduler.run_after(0, write, label="a")
    execute_due()
    settings.DJANGO_SCHEDULER = {"MAX_SCHEDULED_PER_TRANSACTION": 1, "MAX_ARGUMENT_BYTES_PER_TRANSACTION": 50}
    for attempt, parts in [
        (lambda: unchecked.scheduler.run_after(-5, write, label="a"), ["-5", "run_at"]),
        (lambda: unchecked.scheduler.run_after(0, write), ["tests:write(*, label: str)", "label"]),
        (lambda: unchecked.scheduler.run_after(0, write, label=object()), ["tests:write", "label", "object"]),
        (lambda: unchecked.scheduler.run_after(0, "tests:rite", label="a"), ["tests:rite", "tests:write"]),
        (
            lambda: unchecked.scheduler.run_after(0, write, label="x" * 50),
            ["tests:write", "62", "50", "DJANGO_SCHEDULER"],
        ),
        (lambda: unchecked.scheduler.cancel(finished), ["tests:write", str(finished), "finished (success)"]),
        (lambda: unchecked.scheduler.cancel(987654321), ["987654321", "never existed"]),
    ]:
        with pytest.raises(SchedulerError) as caught:
            attempt()
        assert [part for part in parts if part not in str(caught.value)] == [], str(caught.value)
    assert ScheduledFunction.objects.count() == 1


@pytest.mark.django_db
def test_no_error_hides_behind_another_of_ours():
    with pytest.raises(errors.InvalidArguments) as caught:
        unchecked.scheduler.run_after(0, write)
    assert caught.value.__suppress_context__
