"""Which of the mutations that were running is blamed for the death of their process."""

from datetime import timedelta
from itertools import count

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.databases import database_for
from django_scheduler.models import FAR, Failure, ScheduledFunction, State
from django_scheduler.supervisor.death import record_death

pytestmark = pytest.mark.django_db(transaction=True)


#: Each process has a name of its own.
names = count()


@pytest.fixture
def schedule():
    def schedule(*, crashes=0, state=State.PENDING):
        function_id = ctx.scheduler.run_after(0, "tests:write", label="running")
        ScheduledFunction.objects.filter(pk=function_id).update(crashes=crashes, state=state)
        return function_id

    return schedule


def die(*in_body):
    record_death(database_for("default"), f"host:1:{next(names)}", in_body, "SIGSEGV")
    return [
        (row.state, row.crashes) for function_id in in_body for row in [ScheduledFunction.objects.get(pk=function_id)]
    ]


def test_first_two_deaths_are_counted_and_it_is_due_again(schedule):
    function_id = schedule()
    assert die(function_id) == [("pending", 1)]
    row = ScheduledFunction.objects.get()
    assert row.attempts == 1
    assert "the 1st time" in row.error
    assert die(function_id) == [("pending", 2)]


@pytest.mark.parametrize(
    ("crashes", "lost_answer", "state"),
    [(0, "the count", State.PENDING), (2, "the count", State.FAILED), (2, "the end", State.FAILED)],
)
def test_a_death_is_counted_and_announced_once_if_the_answer_is_lost(schedule, caplog, crashes, lost_answer, state):
    function_id = schedule(crashes=crashes)
    lost: list[str] = []

    def lose_the_answer_once(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        is_end = "failure" in sql
        if "crashes" in sql and sql.startswith("UPDATE") and is_end == (lost_answer == "the end") and not lost:
            lost.append(sql)
            raise OperationalError("the connection is lost")
        return result

    with connection.execute_wrapper(lose_the_answer_once):
        assert die(function_id) == [(state, crashes + 1)]
    assert lost
    assert caplog.text.count("failed (crashed)") == (state == State.FAILED)


def test_one_that_was_moved_before_the_death_was_counted_runs_when_it_was_moved_to(schedule):
    function_id = schedule()
    ctx.scheduler.reschedule(function_id, timezone.now() + timedelta(days=1))
    before = ScheduledFunction.objects.get()
    assert die(function_id) == [("pending", 1)]
    assert ScheduledFunction.objects.get().due_time == before.due_time


def test_one_that_has_begun_to_wait_for_a_limit_before_the_death_was_counted_is_due_again(schedule):
    function_id = schedule()
    since = timezone.now() - timedelta(minutes=1)
    ScheduledFunction.objects.update(due_time=FAR, waits_for="bank rate", waiting_since=since)
    assert die(function_id) == [("pending", 1)]
    row = ScheduledFunction.objects.get()
    assert row.waits_for is None
    assert since < row.due_time < timezone.now()


def test_third_death_is_one_too_many(schedule):
    assert die(schedule(crashes=2)) == [("failed", 3)]
    assert ScheduledFunction.objects.get().failure == Failure.CRASHED


def test_only_the_one_that_was_there_most_often_is_blamed(schedule):
    assert die(schedule(crashes=2), schedule(crashes=1), schedule()) == [("failed", 3), ("pending", 2), ("pending", 1)]


def test_nobody_is_blamed_as_long_as_it_can_be_either_of_two(schedule):
    both = schedule(crashes=2), schedule(crashes=2)
    assert die(*both) == [("pending", 3), ("pending", 3)]
    assert die(*both) == [("pending", 4), ("pending", 4)]
    assert die(both[0]) == [("failed", 5)]


@pytest.mark.parametrize("state", [State.SUCCESS, State.CANCELED, State.FAILED, State.IN_PROGRESS])
def test_what_is_not_pending_any_more_is_left_alone(schedule, state):
    assert die(schedule(crashes=2, state=state)) == [(state, 2)]


def test_what_is_not_on_record_any_more_does_not_matter(schedule):
    record_death(database_for("default"), "host:1:abc", [schedule() + 1], "SIGSEGV")
    assert ScheduledFunction.objects.get().crashes == 0
