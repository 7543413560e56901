"""Handing due functions over to a fleet: when, to whom, and again when they do not come."""

import logging
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.fleet import hand_over
from django_scheduler.fleet.worker import task_for
from django_scheduler.models import ScheduledFunction, State
from django_scheduler.scheduling.interventions import reschedule
from tests.fleet.backends import Memory
from tests.functions import note, write, write_then_schedule, write_with_priority
from tests.models import Entry
from tests.support.records import record
from tests.support.waiting import wait_until
from tests.tasks import jobs


@pytest.fixture(autouse=True)
def messages(settings):
    """The ids that were handed over."""
    settings.TASKS = {
        **settings.TASKS,
        "fleet": {"BACKEND": "tests.fleet.backends.Memory", "QUEUES": ["default", "email"]},
        "other": {"BACKEND": "tests.fleet.backends.Memory", "QUEUES": ["other"]},
    }
    settings.DJANGO_SCHEDULER = {"EXECUTOR": "tasks:fleet"}
    Memory.messages.clear()
    Memory.tasks.clear()
    Memory.broken = False
    task_for.cache_clear()
    yield Memory.messages
    task_for.cache_clear()


def deliver() -> None:
    while Memory.messages:
        Memory.tasks.pop(0).call(*Memory.messages.pop(0))


def wait_in_vain() -> None:
    """The time that a hand-over may take has passed."""
    for row in ScheduledFunction.objects.filter(state=State.PENDING):
        ScheduledFunction.objects.filter(pk=row.pk).update(
            due_time=row.due_time - timedelta(minutes=11), scheduled_time=row.scheduled_time - timedelta(minutes=11)
        )


def test_what_is_due_at_once_is_handed_over_when_its_transaction_commits(messages):
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            ctx.scheduler.run_after(0, write, label="undone")
            raise ZeroDivisionError
        function_id = ctx.scheduler.run_after(0, write, label="kept")
        assert messages == []

    assert messages == [(function_id, "default")]
    deliver()
    assert record(function_id).state == State.SUCCESS


def test_executor_hands_over_what_is_due_later_and_executes_nothing(messages, execute_due):
    function_id = ctx.scheduler.run_after(timedelta(milliseconds=1), note, label="later")
    assert messages == []

    while not messages:
        execute_due()

    assert messages == [(function_id, "default")]
    assert record(function_id).state == State.PENDING
    assert not Entry.objects.exists()
    deliver()
    assert [entry.label for entry in Entry.objects.all()] == ["later"]


def test_what_was_handed_over_is_not_handed_over_again_at_once(messages, execute_due):
    function_id = ctx.scheduler.run_after(0, write, label="x")
    execute_due()
    execute_due()

    assert messages == [(function_id, "default")]


def test_what_was_handed_over_and_never_came_is_handed_over_again(messages, execute_due, caplog):
    function_id = ctx.scheduler.run_after(0, write, label="x")
    messages.clear()
    wait_in_vain()

    with caplog.at_level(logging.WARNING):
        execute_due()

    assert messages == [(function_id, "default")]
    assert "s after its time; it is handed over now, and once more in 600 s" in caplog.text
    deliver()
    assert record(function_id).state == State.SUCCESS


def test_message_that_comes_late_or_twice_does_nothing(messages, execute_due):
    function_id = ctx.scheduler.run_after(0, note, label="x")
    wait_in_vain()
    execute_due()
    assert messages == [(function_id, "default")] * 2

    deliver()

    assert Entry.objects.count() == 1


def test_wait_doubles_up_to_a_limit():
    minute = timedelta(minutes=1)
    ages = [timedelta(0), minute, 2 * minute, 4 * minute, 100 * minute, -minute]
    assert [hand_over.time_to_begin_again(age) // minute for age in ages] == [1, 1, 2, 4, 10, 1]


def test_queue_and_priority_go_with_it(messages):
    ctx.scheduler.run_after(0, write_with_priority, label="x")
    jobs.add.using(queue_name="email", priority=-7).enqueue(1)

    assert [(task.queue_name, task.priority) for task in Memory.tasks] == [("email", 5), ("email", -7)]


def test_broker_that_cannot_be_reached_changes_nothing_and_is_logged(messages, execute_due, caplog):
    Memory.broken = True
    with transaction.atomic():
        Entry.objects.create(label="beside")
        function_id = ctx.scheduler.run_after(0, write, label="x")

    assert Entry.objects.count() == 1
    assert f"tests:write {function_id} could not be handed over to tasks:fleet" in caplog.text
    Memory.broken = False
    wait_in_vain()
    execute_due()
    deliver()
    assert record(function_id).state == State.SUCCESS


def test_queue_that_the_fleet_does_not_serve_is_logged_and_nothing_is_lost(messages, settings, caplog):
    settings.DJANGO_SCHEDULER = {"EXECUTOR": "tasks:other"}

    function_id = ctx.scheduler.run_after(0, write, label="x")

    assert "Queue 'default' is not valid for backend" in caplog.text
    assert record(function_id).state == State.PENDING


def test_children_are_handed_over_when_their_parent_commits(messages):
    ctx.scheduler.run_after(0, write_then_schedule, label="x")
    deliver()

    assert sorted(row.state for row in ScheduledFunction.objects.all()) == [State.SUCCESS] * 2


def test_many_at_once_are_left_to_the_executor(messages, execute_due):
    ids = ctx.scheduler.run_after_many(0, write, [{"label": "a"}, {"label": "b"}])
    assert messages == []

    execute_due()

    assert [each for each, _ in messages] == ids


def test_mutation_that_is_retried_is_handed_over_again(messages, execute_due, settings):
    settings.DJANGO_SCHEDULER = {"EXECUTOR": "tasks:fleet", "BACKOFF_INITIAL": timedelta(microseconds=1)}
    result = jobs.try_three_times.enqueue()

    def has_ended():
        deliver()
        execute_due()
        result.refresh()
        return result.is_finished

    wait_until(has_ended, "it succeeded in the end")
    assert result.return_value == 3


def test_canceled_function_is_not_executed_although_it_was_handed_over(messages):
    function_id = ctx.scheduler.run_after(0, write, label="x")
    ctx.scheduler.cancel(function_id)

    deliver()

    assert not Entry.objects.exists()


def test_function_that_somebody_puts_off_is_not_executed_by_a_message_that_was_on_its_way(messages):
    function_id = ctx.scheduler.run_after(0, write, label="tomorrow")
    reschedule("default", [function_id], timezone.now() + timedelta(days=1))

    deliver()

    assert record(function_id).state == State.PENDING
    assert not Entry.objects.exists()


def test_function_that_somebody_moves_to_now_is_handed_over_and_executed(messages, execute_due):
    function_id = ctx.scheduler.run_after(timedelta(days=7), write, label="x")
    row = record(function_id)
    ScheduledFunction.objects.update(due_time=row.creation_time)

    execute_due()
    deliver()

    assert record(function_id).state == State.SUCCESS


def test_without_a_fleet_nothing_is_handed_over(messages, settings, execute_due):
    settings.DJANGO_SCHEDULER = {}
    ctx.scheduler.run_after(0, write, label="x")
    execute_due()

    assert messages == []
    assert Entry.objects.count() == 1


@pytest.mark.parametrize(("alias", "reason"), [("nowhere", "no such backend in TASKS"), ("default", "to itself")])
def test_fleet_that_cannot_be_is_refused_with_the_reason(settings, alias, reason):
    with pytest.raises(ImproperlyConfigured, match=reason):
        task_for(alias)
