"""``assert_scheduled``, ``assert_nothing_scheduled`` and ``scheduled``: what a test can say of what is pending."""

from datetime import timedelta

import pytest
from django.utils import timezone

from django_scheduler import Context, ctx, mutation
from django_scheduler.errors import FunctionNotFound, InvalidArguments
from tests.functions import note, write
from tests.testing.functions import greet

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def test_what_is_pending_is_listed_in_the_order_in_which_it_becomes_due(scheduler):
    later = ctx.scheduler.run_after(timedelta(hours=1), write, label="later")
    at_once = ctx.scheduler.run_after(0, note, label="at once")

    assert [row.pk for row in scheduler.scheduled()] == [at_once, later]
    assert [row.pk for row in scheduler.scheduled(write)] == [later]
    assert scheduler.scheduled("tests:count_entries") == []


def test_a_function_is_scheduled_with_these_arguments(scheduler):
    function_id = ctx.scheduler.run_after(0, greet, name="Ada", title="Countess")

    for expected in ({}, {"name": "Ada"}, {"title": "Countess"}, {"name": "Ada", "title": "Countess"}):
        (row,) = scheduler.assert_scheduled(greet, **expected)
        assert row.pk == function_id
    for unexpected in ({"name": "Bob"}, {"name": "Ada", "title": "Count"}, {"color": "red"}):
        with pytest.raises(AssertionError):
            scheduler.assert_scheduled(greet, **unexpected)


@mutation
def remind(ctx: Context, *, label: str, times: int) -> None: ...


def test_an_argument_that_is_named_as_an_option_is_not_taken_for_the_option(scheduler):
    ctx.scheduler.run_after(0, remind, label="rent", times=5)

    with pytest.raises(InvalidArguments, match="remind has a parameter 'times'"):
        scheduler.assert_scheduled(remind, times=1)
    scheduler.assert_scheduled(remind, label="rent", after=0)


def test_a_default_counts_as_an_argument(scheduler):
    ctx.scheduler.run_after(0, greet)

    scheduler.assert_scheduled(greet, name="you")
    with pytest.raises(AssertionError):
        scheduler.assert_scheduled(greet, name="me")


def test_what_has_been_moved_is_asserted_at_the_time_to_which_it_was_moved(scheduler):
    now = timezone.now()
    moved = ctx.scheduler.run_after(timedelta(days=1), write, label="x")
    ctx.scheduler.reschedule(moved, now + timedelta(days=3))
    with pytest.raises(AssertionError, match="in 3 days"):
        scheduler.assert_scheduled(write, after=timedelta(days=1))
    scheduler.assert_scheduled(write, at=now + timedelta(days=3))
    scheduler.assert_scheduled(write, after=timedelta(days=3))

    ctx.scheduler.run_now(moved)
    scheduler.assert_scheduled(write, at=now)

    debounced = ctx.scheduler.options(key="a key", existing="replace")
    debounced.run_after(timedelta(seconds=5), note, label="y")
    scheduler.advance(seconds=3)
    debounced.run_after(timedelta(seconds=5), note, label="y")
    scheduler.assert_scheduled(note, at=now + timedelta(seconds=8))


def test_what_is_overdue_is_asserted_at_the_time_that_was_asked_for(scheduler):
    past = timezone.now() - timedelta(days=1)
    ctx.scheduler.run_at(past, write, label="x")
    scheduler.assert_scheduled(write, at=past)


def test_times_and_delays_are_exact(scheduler):
    now = timezone.now()
    ctx.scheduler.run_after(timedelta(days=7), write, label="x")

    scheduler.assert_scheduled(write, after=timedelta(days=7))
    scheduler.assert_scheduled(write, after=7 * 24 * 60 * 60 * 1000)
    scheduler.assert_scheduled(write, at=now + timedelta(days=7))
    for wrong in ({"after": timedelta(days=6)}, {"at": now}, {"at": now + timedelta(days=7, microseconds=1)}):
        with pytest.raises(AssertionError):
            scheduler.assert_scheduled(write, **wrong)


def test_a_delay_is_counted_from_when_it_was_scheduled(scheduler):
    ctx.scheduler.run_after(timedelta(days=7), write, label="x")
    scheduler.advance(days=1)

    scheduler.assert_scheduled(write, after=timedelta(days=7))


def test_how_many_times(scheduler):
    for label in ("a", "b", "b"):
        ctx.scheduler.run_after(0, write, label=label)

    assert len(scheduler.assert_scheduled(write)) == 3
    scheduler.assert_scheduled(write, times=3)
    scheduler.assert_scheduled(write, label="b", times=2)
    scheduler.assert_scheduled(note, times=0)
    with pytest.raises(AssertionError, match="is scheduled 3 times, not 1"):
        scheduler.assert_scheduled(write, times=1)


def test_an_assertion_that_fails_says_what_is_scheduled(scheduler):
    function_id = ctx.scheduler.run_after(timedelta(hours=1), write, label="a")

    with pytest.raises(AssertionError) as caught:
        scheduler.assert_scheduled(write, label="b")

    message = str(caught.value)
    assert "tests:write(label='b') is not scheduled" in message
    assert f"{function_id}  tests:write(label='a') at " in message
    assert "in 1:00:00" in message


def test_what_is_no_argument_of_the_function_is_a_mistake_of_the_test(scheduler):
    with pytest.raises(InvalidArguments, match="lable"):
        scheduler.assert_scheduled(write, lable="a", times=0)
    with pytest.raises(FunctionNotFound):
        scheduler.assert_scheduled("tests:wriet")


def test_nothing_is_scheduled_before_and_after(scheduler):
    scheduler.assert_nothing_scheduled()
    ctx.scheduler.run_after(0, write, label="a")

    scheduler.assert_nothing_scheduled(note)
    with pytest.raises(AssertionError, match=r"tests:write\(label='a'\)"):
        scheduler.assert_nothing_scheduled()

    scheduler.run_all()
    scheduler.assert_nothing_scheduled()
    with pytest.raises(AssertionError):
        scheduler.assert_scheduled(write)
