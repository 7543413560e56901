"""How many bodies of a task run at once, or begin within a period, by the names of the task's own arguments."""

import json
from datetime import timedelta
from typing import Any

import django
import pytest
from django.tasks import default_task_backend, task
from django.tasks.exceptions import InvalidTask

from django_scheduler import Concurrency, RateLimit
from django_scheduler.functions import AnyFunction, registry
from django_scheduler.models import FAR, ScheduledFunction, State
from tests.support.in_process import executing
from tests.support.waiting import wait_until
from tests.tasks import jobs

SECOND = timedelta(seconds=1)


def with_limit(settings: Any, concurrency: Any = None, rate_limit: Any = None) -> None:
    """Have the backend say how many bodies of each task run at once, or begin within a period."""
    options = {"concurrency": concurrency, "rate_limit": rate_limit}
    settings.TASKS = {
        "default": {"BACKEND": "django_scheduler.tasks.SchedulerBackend", "QUEUES": [], "OPTIONS": options}
    }


def function_on_record(result: Any) -> AnyFunction:
    """What an executor finds by the name on record."""
    row = ScheduledFunction.objects.get(pk=int(result.id))
    function = registry.find_recorded(row.name, row.kind)
    assert function
    return function


def limit_on_record(result: Any) -> str:
    """Return the limit of a task, as an executor finds it in the arguments on record."""
    return function_on_record(result).limit_of(arguments_on_record(result))


def rate_limit_on_record(result: Any) -> str:
    """Return the rate limit of a task, likewise."""
    return function_on_record(result).rate_limit_of(arguments_on_record(result))


def arguments_on_record(result: Any) -> str:
    args = ScheduledFunction.objects.values_list("args", flat=True).get(pk=int(result.id))
    return args if isinstance(args, str) else json.dumps(args)


def test_task_has_no_limit_by_itself():
    function = function_on_record(jobs.add.enqueue(1))

    assert (function.concurrency, function.rate_limit) == (None, None)


def test_limit_is_called_like_the_task(settings):
    with_limit(settings, Concurrency(2))

    assert limit_on_record(jobs.add.enqueue(1)) == "tests.tasks.jobs.add"
    assert limit_on_record(jobs.log_in.enqueue("ada", "secret")) == "tests.tasks.jobs.log_in"


def test_limit_of_a_task_is_known_once_it_was_found(settings):
    with_limit(settings, Concurrency(2))
    result = jobs.add.enqueue(1)
    assert "tests.tasks.jobs.add" not in registry.limits()

    function_on_record(result)

    assert registry.limits()["tests.tasks.jobs.add"].limit == 2


def test_rate_limit_of_a_task_is_known_once_it_was_found(settings):
    with_limit(settings, rate_limit=RateLimit(2, per=SECOND))
    result = jobs.write.enqueue("x")
    assert "tests.tasks.jobs.write rate" not in registry.rate_limits()

    assert rate_limit_on_record(result) == "tests.tasks.jobs.write rate"

    assert registry.rate_limits()["tests.tasks.jobs.write rate"].per == SECOND


def test_task_may_have_both_limits_of_one_name(settings):
    with_limit(
        settings,
        Concurrency(2, key="second", name="sums"),
        RateLimit(9, per=SECOND, key=("first", "second"), name="sums"),
    )

    result = jobs.add.enqueue(7, second=8)

    assert (limit_on_record(result), rate_limit_on_record(result)) == ("sums [8]", "sums rate [7,8]")


def test_tasks_of_a_backend_share_a_limit_that_has_a_name(settings):
    with_limit(settings, Concurrency(2, name="provider"))

    assert limit_on_record(jobs.add.enqueue(1)) == limit_on_record(jobs.write.enqueue("x")) == "provider"


@pytest.mark.parametrize(
    ("args", "kwargs", "values"),
    [
        ((7,), {}, "[7,0]"),
        ((7, 8), {}, "[7,8]"),
        ((7,), {"second": 8}, "[7,8]"),
        ((), {"second": 8, "first": 7}, "[7,8]"),
        (("7",), {}, '["7",0]'),
    ],
)
def test_limit_is_the_same_however_the_arguments_are_given(settings, args, kwargs, values):
    with_limit(settings, Concurrency(2, key=("first", "second"), name="sums"))

    assert limit_on_record(jobs.add.enqueue(*args, **kwargs)) == f"sums {values}"


def test_context_of_a_task_is_none_of_its_arguments(settings):
    with_limit(settings, Concurrency(2, key="context"))

    with pytest.raises(InvalidTask, match="'context' is none of its arguments"):
        jobs.look_around.enqueue()


def test_arguments_of_a_task_that_were_changed_by_hand_have_a_limit_too(settings):
    with_limit(settings, Concurrency(2, key="first"))
    function = function_on_record(jobs.add.enqueue(7))

    assert function.limit_of('{"args": 7}') == "tests.tasks.jobs.add [null]"
    assert function.limit_of("[") == "tests.tasks.jobs.add"


@pytest.mark.parametrize(
    "options",
    [{"concurrency": Concurrency(2, key="frist")}, {"rate_limit": RateLimit(2, per=SECOND, key="frist")}],
)
def test_key_that_is_no_argument_of_the_task_is_refused(settings, options):
    with_limit(settings, **options)

    with pytest.raises(InvalidTask, match=r"the key 'frist' is none of its arguments\. Did you mean 'first'"):
        jobs.add.enqueue(1)
    with pytest.raises(InvalidTask, match="the key 'frist' is none of its arguments"):
        task(jobs.add.func)


def test_key_of_any_number_of_arguments_is_refused(settings):
    with_limit(settings, Concurrency(2, key="args"))

    with pytest.raises(InvalidTask, match=r"the key 'args' is \*args, which may be any arguments"):
        jobs.whatever.enqueue(1)


@pytest.mark.parametrize(
    ("options", "problem", "hint"),
    [
        *(
            ({"concurrency": value}, "concurrency= must be a Concurrency", "'concurrency': Concurrency(2).")
            for value in (2, "provider", [2], RateLimit(2, per=SECOND))
        ),
        *(
            ({"rate_limit": value}, "rate_limit= must be a RateLimit", "'rate_limit': RateLimit(10, per=timedelta(")
            for value in (2, "2/s", (2, SECOND), Concurrency(2))
        ),
    ],
)
def test_limit_that_cannot_be_is_refused_and_told_by_the_check(settings, options, problem, hint):
    with_limit(settings, **options)

    with pytest.raises(InvalidTask, match=problem):
        jobs.add.enqueue(1)
    (message,) = default_task_backend.check()
    assert message.id == "django_scheduler.E206"
    assert problem in message.msg
    assert hint in message.hint


def test_limits_that_cannot_be_are_all_told_by_the_check(settings):
    with_limit(settings, concurrency=2, rate_limit="2/s")

    assert [message.id for message in default_task_backend.check()] == ["django_scheduler.E206"] * 2


@pytest.mark.skipif(django.VERSION < (6, 1), reason="The decorator of Django 6.0 takes no further options.")
def test_task_says_its_limit_itself(monkeypatch):
    decorate: Any = task
    limits = {"concurrency": Concurrency(1, key="first"), "rate_limit": RateLimit(5, per=SECOND, key="second")}
    limited = decorate(**limits)(jobs.add.func)
    monkeypatch.setattr(jobs, "add", limited)

    result = limited.enqueue(7)

    assert limit_on_record(result) == "tests.tasks.jobs.add [7]"
    assert rate_limit_on_record(result) == "tests.tasks.jobs.add rate [0]"
    assert function_on_record(result).keeps_order


def test_no_more_bodies_of_a_task_run_at_once_than_its_limit_says(settings, gate):
    with_limit(settings, Concurrency(1, key="path"))
    results = [jobs.wait_at_gate.enqueue(gate.path) for _ in range(3)]

    with executing(concurrency=4):
        gate.wait_for_arrivals(1)
        waiting = ScheduledFunction.objects.filter(state=State.PENDING, attempts=0, due_time=FAR)
        wait_until(lambda: waiting.count() == 2, "the others wait")
        assert gate.arrivals == 1
        gate.open()
        wait_until(lambda: not ScheduledFunction.objects.exclude(state=State.SUCCESS).exists(), "all of them ended")
    assert len(results) == gate.departures


def test_no_more_bodies_of_a_task_begin_within_a_period_than_its_rate_limit_says(settings):
    with_limit(settings, rate_limit=RateLimit(1, per=timedelta(days=1), key="label"))
    for label in ("a", "a", "b"):
        jobs.write.enqueue(label)

    with executing(concurrency=4):
        waiting = ScheduledFunction.objects.filter(state=State.PENDING, attempts=0, due_time=FAR)
        wait_until(lambda: waiting.count() == 1, "one waits")
        wait_until(lambda: ScheduledFunction.objects.filter(state=State.SUCCESS).count() == 2, "two ended")
    assert waiting.get().waits_for == 'tests.tasks.jobs.write rate ["a"]'
