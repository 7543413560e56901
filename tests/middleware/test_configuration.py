"""A middleware that cannot be used is found by a check and keeps executors from starting. No function fails by it."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.test import override_settings

from django_scheduler import ctx
from django_scheduler.executor.by_id import execute
from django_scheduler.executor.executor import Executor
from django_scheduler.models import ScheduledFunction, State
from tests.checks.messages import messages, the_message
from tests.functions import write
from tests.middleware import classes
from tests.support.in_process import execute_with_one_worker
from tests.support.records import record

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

UNUSABLE = [
    ("nowhere.Middleware", "cannot be imported: ModuleNotFoundError"),
    ("tests.middleware.classes.Nobody", "cannot be imported: ImportError"),
    (classes.no_class, "is not a class"),
    (classes.TakesNothing, "has no __init__(self, run)"),
    (classes.IsNotCallable, "has no __call__(self, call)"),
    (classes.IsAsync, "has an async __call__(self, call)"),
    (classes.SchedulesWithoutContext, "has no schedule(self, context)"),
    (classes.CannotBeMade, "cannot be made: RuntimeError: no license"),
    (classes.TakesMoreThanItSays, "cannot be made: TypeError"),
    (classes.SchedulesWhileItIsMade, "cannot be made: RuntimeError: A middleware schedules while it is made"),
    (classes.ForRequests, "is a middleware for requests"),
    ("django_scheduler.middleware.RequestContextMiddleware", "is a middleware for requests"),
    ("django.contrib.sessions.middleware.SessionMiddleware", "is a middleware for requests"),
]


@pytest.mark.parametrize(("middleware", "said"), UNUSABLE)
def test_one_that_cannot_be_used_is_an_error_of_the_check_and_of_whoever_needs_it(use, middleware, said):
    function_id = ctx.scheduler.run_after(0, write, label="before")
    use(classes.Outer, middleware)

    assert said in the_message("E021").msg
    for need in (Executor, lambda: execute(function_id), lambda: ctx.scheduler.run_after(0, write, label="a")):
        with pytest.raises(ImproperlyConfigured) as refused:
            need()
        assert said in str(refused.value)
    assert record(function_id).state == State.PENDING
    assert ScheduledFunction.objects.count() == 1


def test_what_can_be_used_is_no_error(use):
    use(classes.Outer, classes.Inner, classes.IsNotUsed, "django_scheduler.middleware.LanguageMiddleware")

    assert [message for message in messages() if message.id == "django_scheduler.E021"] == []


@pytest.mark.parametrize("value", ["tests.middleware.classes.Outer", [classes.Outer], ["Outer"], None])
def test_setting_is_a_list_of_paths(value):
    with override_settings(DJANGO_SCHEDULER={"MIDDLEWARE": value}):
        assert "must be a list of the dotted paths of classes" in the_message("E002").msg


@pytest.mark.parametrize("processes", ["0", "1"])
def test_runscheduler_says_so_and_ends(use, processes):
    use("nowhere.Middleware")

    with pytest.raises(CommandError, match=r"MIDDLEWARE.*nowhere\.Middleware cannot be imported"):
        call_command("runscheduler", processes=processes, skip_checks=True)


def test_one_that_is_not_used_says_so(use):
    use(classes.Outer, classes.IsNotUsed, classes.Inner)
    ctx.scheduler.run_after(0, write, label="a")
    classes.events.clear()
    execute_with_one_worker()

    assert classes.events == ["outer begins", "inner begins", "inner ends", "outer ends"]


def test_error_of_one_that_cannot_be_made_is_shown_with_its_origin(use):
    use(classes.CannotBeMade)

    with pytest.raises(ImproperlyConfigured, match="CannotBeMade cannot be made") as refused:
        Executor()
    assert isinstance(refused.value.__cause__, RuntimeError)


def test_each_is_made_once_by_the_check_and_what_follows(use):
    use(classes.CountsItself)
    classes.events.clear()

    messages()
    ctx.scheduler.run_after(0, write, label="a")
    execute_with_one_worker()

    assert classes.events == ["made"]


def test_one_that_asks_a_database_without_tables_does_not_hold_up_the_check(use):
    use(classes.AsksWhatIsNotMigrated)

    assert [message for message in messages() if message.id == "django_scheduler.E021"] == []
    with pytest.raises(ImproperlyConfigured, match="AsksWhatIsNotMigrated cannot be made"):
        Executor()


def test_one_that_is_named_twice_is_a_warning(use):
    use(classes.Outer, classes.Inner, classes.Outer)

    assert "names tests.middleware.classes.Outer 2 times" in the_message("W017").msg


def test_one_among_those_for_requests_is_an_error(settings):
    ours = "django_scheduler.middleware.LanguageMiddleware"
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "nowhere.to.be.Found", ours]

    assert f"names {ours}" in the_message("E022").msg
