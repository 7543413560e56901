"""Why functions are late, or are going to be: one list of problems, which everything shows."""

from datetime import timedelta

import pytest
from django.test import override_settings
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.models import Executor, ScheduledFunction
from django_scheduler.pausing import pause
from django_scheduler.status import Problem, status
from tests.functions import write, write_with_priority
from tests.status.records import be_due_for, put_living_executor_on_record, put_silent_executor_on_record

pytestmark = pytest.mark.django_db(transaction=True)


def found() -> list[tuple[str, str | None]]:
    return [(problem.code.value, problem.queue) for problem in status().problems]


def only_problem() -> Problem:
    (problem,) = status().problems
    return problem


def test_all_is_well_while_somebody_looks_for_what_is_due():
    put_living_executor_on_record()
    ctx.scheduler.run_after(0, write, label="due")

    now = status()

    assert (now.healthy, now.problems) == (True, ())


def test_no_executor_is_a_problem_although_nothing_is_due():
    assert found() == [("no_executor", None)]
    assert not status().healthy
    assert "manage.py runscheduler" in only_problem().message


def test_silent_executors_and_workers_of_a_fleet_look_for_nothing():
    put_silent_executor_on_record()
    put_living_executor_on_record(name="fleet", concurrency=0)

    assert found() == [("no_executor", None)]


def test_queue_with_due_functions_that_no_executor_serves():
    put_living_executor_on_record(queues=["default"])
    ctx.scheduler.run_after(timedelta(hours=1), write_with_priority, label="later")
    assert found() == []

    ctx.scheduler.run_after(0, write_with_priority, label="due")

    assert found() == [("queue_not_served", "email")]
    assert "“email”" in only_problem().message
    assert not status().healthy


def test_queue_is_served_by_whoever_names_it_or_names_none():
    ctx.scheduler.run_after(0, write_with_priority, label="due")
    put_living_executor_on_record(queues=["default"])
    put_living_executor_on_record(name="another", queues=["email", "slow"])
    assert found() == []

    Executor.objects.filter(name="another").update(queues=[])
    assert found() == []


@pytest.mark.parametrize(
    ("limit", "problem"), [(timedelta(seconds=90), ["late"]), (timedelta(seconds=200), []), (None, [])]
)
def test_due_function_waits_for_longer_than_it_may(limit, problem):
    put_living_executor_on_record()
    be_due_for(ctx.scheduler.run_after(0, write, label="due"), 100)

    with override_settings(DJANGO_SCHEDULER={"MAX_LAG": limit}):
        now = status()

        assert [each.code for each in now.problems] == problem
        assert now.healthy is not bool(problem)


def test_each_queue_has_its_limit():
    put_living_executor_on_record()
    be_due_for(ctx.scheduler.run_after(0, write, label="due"), 100)
    be_due_for(ctx.scheduler.run_after(0, write_with_priority, label="due"), 100)

    with override_settings(DJANGO_SCHEDULER={"MAX_LAG": {"email": timedelta(seconds=30), "default": None}}):
        assert found() == [("late", "email")]
    with override_settings(DJANGO_SCHEDULER={"MAX_LAG": {"email": None, "": timedelta(seconds=30)}}):
        assert found() == [("late", "default")]


def test_all_threads_that_serve_a_queue_are_taken():
    put_living_executor_on_record(
        concurrency=2, running=[{"id": 1, "name": "shop:import"}, {"id": 2, "name": "shop:pay"}]
    )
    put_living_executor_on_record(name="another", queues=["email"])
    first = ctx.scheduler.run_after(0, write, label="due")
    be_due_for(ctx.scheduler.run_after(0, write_with_priority, label="of a queue with free threads"), 100)
    assert found() == []  # it has hardly waited: that is work, and no problem

    be_due_for(first, 100)

    problem = only_problem()
    assert (problem.code, problem.queue, problem.is_warning) == ("threads_taken", "default", True)
    assert "shop:import 1, shop:pay 2" in problem.message
    assert status().healthy


@pytest.mark.parametrize(("hung", "code", "is_healthy"), [(1, "threads_held", True), (2, "no_thread_left", False)])
def test_bodies_do_not_end_although_their_time_is_up(hung, code, is_healthy):
    running = [{"id": number, "name": "shop:pay", "is_given_up": True} for number in range(hung)]
    put_living_executor_on_record(concurrency=2, running=running)

    problem = only_problem()

    assert (problem.code, status().healthy) == (code, is_healthy)
    assert "shop:pay 0" in problem.message


@pytest.mark.parametrize("queue", ["default", ""])
def test_pause_is_a_warning_and_what_waits_for_it_is_not_late(queue):
    put_living_executor_on_record(queues=["another"])
    be_due_for(ctx.scheduler.run_after(0, write, label="due"), 1_000)
    pause("default", queue, reason="the bank is closed", paused_by="ada")

    problem = only_problem()

    assert (problem.code, problem.queue) == ("paused", queue or None)
    assert "ada: the bank is closed" in problem.message
    assert status().healthy


def test_code_of_executors_is_older_than_what_is_due():
    put_living_executor_on_record()
    ids = ctx.scheduler.run_after_many(0, write, [{"label": "due"}] * 3)
    canceled = ctx.scheduler.run_after(0, write, label="canceled")
    ScheduledFunction.objects.filter(pk__in=[*ids[1:], canceled]).update(unknown_since=timezone.now())
    ctx.scheduler.cancel(canceled)

    (unknown,) = status().unknown_functions
    problem = only_problem()

    assert (unknown.name, unknown.count, unknown.first_id) == ("tests:write", 2, ids[1])
    assert (problem.code, problem.queue) == ("unknown_function", "default")
    assert "tests:write" in problem.message
    assert str(ids[1]) in problem.message
    assert not status().healthy


def test_what_needs_somebody_at_once_comes_first():
    pause("default", "email")
    be_due_for(ctx.scheduler.run_after(0, write, label="due"), 1_000)

    assert found() == [("no_executor", None), ("late", "default"), ("paused", "email")]


def test_status_is_read_from_the_primary():
    class Replica:
        def db_for_read(self, model, **hints):
            return "replica"

        def db_for_write(self, model, **hints):
            return "default"

    with override_settings(DATABASE_ROUTERS=[Replica()]):
        assert not status().healthy  # there is no replica: reading from it would raise
