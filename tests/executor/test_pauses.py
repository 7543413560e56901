"""A paused queue: nothing begins in it, what runs ends, scheduling goes on, and it is served again once resumed."""

import logging
from datetime import timedelta
from functools import partial

import pytest
from django.db import transaction
from django.utils.connection import ConnectionDoesNotExist

from django_scheduler import ctx, pausing
from django_scheduler.models import Pause, ScheduledFunction, State
from tests.functions import write, write_with_priority
from tests.models import Entry
from tests.support.in_process import executing
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


#: How many functions of a backlog are scheduled at a time.
MANY = 2_000


def test_an_executor_that_is_busy_begins_nothing_more(caplog):
    """Not even in the lane that it serves all the time, of which it takes the next one without looking."""
    backlog = ScheduledFunction.objects.filter(queue="default", state=State.PENDING)
    executed = ScheduledFunction.objects.filter(queue="default", state=State.SUCCESS)
    caplog.set_level(logging.INFO, "django_scheduler.executor")

    def has_more(holds):
        """However quick it is: the backlog lasts until it holds."""
        if backlog.count() < MANY:
            ctx.scheduler.run_after_many(0, write, [{"label": "default"}] * MANY)
        return holds()

    with executing(concurrency=1):
        wait_until(lambda: has_more(lambda: executed.count() > 20), "the executor is busy")
        pausing.pause("default", "default")
        wait_until(lambda: has_more(lambda: messages_of_a_pause(caplog)), "the executor has looked again")
        before = executed.count()
        for number in (1, 2):  # so that it looks again
            ctx.scheduler.run_after(0, write_with_priority, label="email")
            wait_until(partial(have_run, number, "email"), "another queue is served")
        assert executed.count() == before
        assert backlog.exists()
        pausing.resume("default", "default")
        wait_until(lambda: executed.count() > before, "it goes on")


def have_run(number, label):
    return Entry.objects.filter(label=label).count() == number


def messages_of_a_pause(caplog):
    return [record.getMessage() for record in caplog.records if "paused" in record.getMessage()]


def test_it_is_logged_once(execute_due, caplog):
    caplog.set_level(logging.INFO, "django_scheduler.executor")
    pausing.pause("default", "default")
    ctx.scheduler.run_after(0, write, label="a")
    ctx.scheduler.run_after(0, write_with_priority, label="b")
    execute_due()
    assert messages_of_a_pause(caplog) == ["The queue 'default' is paused: what is due in it waits until it is resumed"]


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


@pytest.mark.parametrize("name", ["a\0b", "\ud800"], ids=ascii)
def test_a_text_that_no_database_takes_is_refused_with_what_is_wrong(name):
    with pytest.raises(ValueError, match=r"queue=.* has NUL or half of a surrogate pair"):
        pausing.pause("default", name)
    with pytest.raises(ValueError, match=r"queue=.* has NUL or half of a surrogate pair"):
        pausing.resume("default", name)
    with pytest.raises(ValueError, match=r"reason=.* has NUL or half of a surrogate pair"):
        pausing.pause("default", "email", reason=name)
    with pytest.raises(ValueError, match=r"paused_by=.* has NUL or half of a surrogate pair"):
        pausing.pause("default", "email", paused_by=name)
    assert not Pause.objects.exists()


@pytest.mark.parametrize("name", [b"email", None, 7])
@pytest.mark.parametrize("change", [pausing.pause, pausing.resume])
def test_what_is_no_name_is_refused(change, name):
    with pytest.raises(TypeError, match=rf"queue must be a str, not {type(name).__name__}\."):
        change("default", name)
    assert not Pause.objects.exists()


@pytest.mark.parametrize("change", [pausing.pause, pausing.resume])
def test_a_queue_is_not_taken_for_a_database(change):
    what_to_write = rf"no database 'email' .* pausing.{change.__name__}\('default', 'email'\)"
    with pytest.raises(ConnectionDoesNotExist, match=what_to_write):
        change("email")


def test_a_queue_that_nothing_names_is_paused_and_logged_with_the_nearest(caplog):
    assert pausing.pause("default", "emial")

    (line,) = [record.getMessage() for record in caplog.records if "emial" in record.getMessage()]
    assert line == (
        "The queue 'emial' is paused, but no function and no setting declares it, and nothing on record is in it."
        " Did you mean 'email'?"
    )


def test_a_queue_that_only_calls_name_may_be_the_nearest(caplog):
    ctx.scheduler.options(queue="reports").run_after(timedelta(hours=1), write, label="x")

    assert pausing.pause("default", "report")

    (line,) = [record.getMessage() for record in caplog.records if "declares" in record.getMessage()]
    assert line.endswith("Did you mean 'reports'?")


def test_a_queue_that_a_call_has_named_and_everything_are_paused_silently(caplog):
    ctx.scheduler.options(queue="emial").run_after(0, write, label="x")
    for queue in ("emial", "email", Pause.EVERYTHING):
        assert pausing.pause("default", queue)
    assert not [record for record in caplog.records if "declares" in record.getMessage()]
