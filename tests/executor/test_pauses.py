"""A paused queue: nothing begins in it, what runs ends, scheduling goes on, and it is served again once resumed."""

import logging
from datetime import timedelta

import pytest
from django.db import transaction

from django_scheduler import ctx, pausing
from django_scheduler.models import Pause, ScheduledFunction, State
from tests.functions import write, write_with_priority
from tests.models import Entry
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def labels():
    return sorted(Entry.objects.values_list("label", flat=True))


def test_a_paused_queue_waits_and_the_others_are_served(execute_due):
    pausing.pause("default", "email", reason="mail is down", paused_by="ada")
    ctx.scheduler.run_after(0, write_with_priority, label="email")
    ctx.scheduler.run_after(0, write, label="default")
    execute_due()
    assert labels() == ["default"]
    assert pausing.resume("default", "email")
    execute_due()
    assert labels() == ["default", "email"]


def test_everything_is_paused(execute_due):
    pausing.pause("default")
    ctx.scheduler.run_after(0, write, label="a")
    ctx.scheduler.run_after(0, write_with_priority, label="b")
    execute_due()
    assert labels() == []
    pausing.resume("default")
    execute_due()
    assert labels() == ["a", "b"]


def test_a_queue_stays_paused_when_everything_is_resumed(execute_due):
    pausing.pause("default")
    pausing.pause("default", "email")
    pausing.resume("default")
    ctx.scheduler.run_after(0, write, label="a")
    ctx.scheduler.run_after(0, write_with_priority, label="b")
    execute_due()
    assert labels() == ["a"]


def test_an_executor_that_is_busy_begins_nothing_more(start_busy_executor):
    """Not even in the lane that it serves all the time, of which it takes the next one without looking."""
    executor = start_busy_executor()
    wait_until(lambda: Entry.objects.count() > 20, "the executor is busy")
    pausing.pause("default", "default")
    quiet = timedelta(seconds=1)

    def has_stopped():
        last = ScheduledFunction.objects.filter(state=State.SUCCESS).latest("completed_time").completed_time
        present = ScheduledFunction.objects.annotate(present=executor._database.now()).latest("pk").present
        return present - last > quiet

    wait_until(has_stopped, "nothing has begun for a second")
    pause = Pause.objects.get()
    late = ScheduledFunction.objects.filter(started_time__gt=pause.paused_time + timedelta(seconds=1))
    assert not late.exists()
    assert ScheduledFunction.objects.filter(state=State.PENDING).exists()
    before = Entry.objects.count()
    pausing.resume("default", "default")
    wait_until(lambda: Entry.objects.count() > before, "it goes on")


@pytest.fixture
def start_busy_executor(transactional_db):
    from django_scheduler.executor.executor import Executor

    executor = Executor(concurrency=2)

    def start():
        ctx.scheduler.run_after_many(0, write, [{"label": str(number)} for number in range(20_000)])
        executor.start()
        return executor

    yield start
    executor.stop()
    assert executor.wait(timeout=20)


def test_it_is_logged_once(execute_due, caplog):
    caplog.set_level(logging.INFO, "django_scheduler.executor")
    pausing.pause("default", "default")
    ctx.scheduler.run_after(0, write, label="a")
    ctx.scheduler.run_after(0, write_with_priority, label="b")
    execute_due()
    lines = [record.getMessage() for record in caplog.records if "paused" in record.getMessage()]
    assert lines == ["The queue 'default' is paused: what is due in it waits until it is resumed"]


def test_a_pause_is_part_of_the_transaction(execute_due):
    with transaction.atomic():
        pausing.pause("default", "default")
        transaction.set_rollback(True)
    ctx.scheduler.run_after(0, write, label="a")
    execute_due()
    assert labels() == ["a"]


def test_who_paused_first_stays_on_record():
    assert pausing.pause("default", "email", reason="first", paused_by="ada")
    assert not pausing.pause("default", "email", reason="second", paused_by="bob")
    pause = Pause.objects.get()
    assert (pause.reason, pause.paused_by) == ("first", "ada")
    assert pausing.resume("default", "email")
    assert not pausing.resume("default", "email")


def test_a_name_that_no_queue_can_have():
    with pytest.raises(ValueError, match="100 characters"):
        pausing.pause("default", "x" * 101)


@pytest.mark.parametrize("change", [pausing.pause, pausing.resume])
def test_a_queue_is_not_taken_for_a_database(change):
    with pytest.raises(ValueError, match=rf"no database 'email' .* pausing.{change.__name__}\('default', 'email'\)"):
        change("email")
