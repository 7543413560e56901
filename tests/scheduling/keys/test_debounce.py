"""Debounce: calls that replace put the run off, but not for ever."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone
from freezegun import freeze_time

from django_scheduler import Context, ctx, mutation
from django_scheduler.databases import database_for
from tests.functions import write
from tests.support.records import record

pytestmark = pytest.mark.django_db

START = datetime(2031, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def replacing(**options):
    return ctx.scheduler.options(key="k", existing="replace", **options)


@pytest.mark.parametrize(
    ("clock", "by"),
    [
        (freeze_time(START), "run_after"),
        (time_machine.travel(START, tick=False), "run_at"),
        (nullcontext(), "run_after"),
    ],
)
def test_called_every_second_with_a_limit_it_runs_at_20_40_and_55_seconds(scheduler, clock, by):
    runs = []

    @mutation
    def debounced(ctx: Context, *, number: int) -> None:
        runs.append((round((timezone.now() - start).total_seconds()), number))

    with clock:
        start = timezone.now()
        options = replacing(max_wait=20 * SECOND)
        for number in range(51):
            scheduler.advance(start + number * SECOND - timezone.now())
            if by == "run_after":
                options.run_after(5 * SECOND, debounced, number=number)
            else:
                options.run_at(timezone.now() + 5 * SECOND, debounced, number=number)
        scheduler.advance(60 * SECOND)

    assert runs == [(20, 19), (40, 39), (55, 50)]


@pytest.mark.once
def test_without_a_limit_it_runs_once_after_the_last_call(scheduler):
    runs = []

    @mutation
    def debounced(ctx: Context, *, number: int) -> None:
        runs.append(number)

    for number in range(51):
        replacing().run_after(5 * SECOND, debounced, number=number)
        scheduler.advance(SECOND)
    assert runs == []
    scheduler.advance(5 * SECOND)
    assert runs == [50]


@pytest.mark.once
def test_one_that_keeps_runs_at_the_time_of_the_first_call(scheduler):
    """Throttling: one run in five seconds, whatever comes."""
    runs = []

    @mutation
    def throttled(ctx: Context, *, number: int) -> None:
        runs.append(number)

    for number in range(11):
        ctx.scheduler.options(key="k").run_after(5 * SECOND, throttled, number=number)
        scheduler.advance(SECOND)
    assert runs == [0, 5]


def test_by_the_clock_of_the_database_it_is_never_due_later_than_the_limit_after_the_first_call():
    options = replacing(max_wait=20 * SECOND)
    first = options.run_after(15 * SECOND, write, label="first")
    created = record(first).creation_time
    assert options.run_after(19 * SECOND, write, label="second") == first
    assert record(first).due_time < created + 20 * SECOND
    options.run_after(60 * SECOND, write, label="third")
    assert record(first).due_time == created + 20 * SECOND
    options.run_at(database_for("default").current_time() + 60 * SECOND, write, label="fourth")
    assert record(first).due_time == created + 20 * SECOND
    assert record(first).args == {"label": "fourth"}


def test_the_first_call_is_limited_as_well():
    for key, by in (("a", "run_after"), ("b", "run_at")):
        options = replacing(max_wait=20 * SECOND).options(key=key)
        if by == "run_after":
            row = record(options.run_after(60 * SECOND, write, label="first"))
        else:
            row = record(options.run_at(timezone.now() + 60 * SECOND, write, label="first"))
        # On SQLite, the clock is read more than once.
        assert 18 * SECOND < row.due_time - row.creation_time < 20.1 * SECOND
        assert row.scheduled_time - row.creation_time > 50 * SECOND


def test_one_that_has_waited_for_too_long_is_due_at_once():
    options = replacing(max_wait=timedelta(microseconds=1))
    first = options.run_after(60 * SECOND, write, label="first")
    assert options.run_after(60 * SECOND, write, label="second") == first
    assert record(first).due_time <= database_for("default").current_time()


def test_nothing_runs_in_a_test_before_it_says_so(scheduler):
    first = replacing().run_after(0, write, label="first")
    assert replacing().run_after(0, write, label="second") == first
    scheduler.assert_scheduled(write, label="second")
    scheduler.run_due()
    assert record(first).state == "success"
    assert replacing().run_after(0, write, label="third") != first
