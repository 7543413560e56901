"""Each method of the testing helpers says what it takes when it is given something else."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import TestCase
from django.utils.connection import ConnectionDoesNotExist

from django_scheduler import ctx
from django_scheduler.errors import FunctionNotFound, InvalidSchedule, SchedulerError
from django_scheduler.testing import ManualScheduler, SchedulerTestMixin
from tests.functions import write

pytestmark = [pytest.mark.django_db, pytest.mark.once]

Attempt = Callable[[Any], object]

TABLE: list[tuple[Attempt, type[Exception], str]] = [
    (lambda s: s.advance(5), TypeError, r"advance\(hours=2\), not 5"),
    (lambda s: s.advance("1h"), TypeError, "not '1h'"),
    (lambda s: s.advance(None), TypeError, "not None"),
    (lambda s: s.advance(hour=1), TypeError, r"no unit 'hour'\. Did you mean 'hours'\?"),
    (lambda s: s.advance(months=1), TypeError, "no unit 'months'"),
    (lambda s: s.advance(hours="1"), TypeError, r"advance\(hours=\) is a number, not '1'"),
    (lambda s: s.advance(days=-1), ValueError, "negative"),
    (lambda s: s.advance(days=1, max_runs="x"), TypeError, "max_runs= is a whole number, not 'x'"),
    (lambda s: s.run_all(max_runs=None), TypeError, "max_runs= is a whole number, not None"),
    (lambda s: s.run_all(max_runs=-1), ValueError, "-1 is negative"),
    (lambda s: s.scheduled(5), FunctionNotFound, "5 is not a mutation"),
    (lambda s: s.assert_nothing_scheduled(5), FunctionNotFound, "5 is not a mutation"),
    (lambda s: s.assert_scheduled("tests:wirte"), FunctionNotFound, "Did you mean 'tests:write'"),
    (lambda s: s.assert_scheduled(write, at=datetime(2030, 1, 1)), InvalidSchedule, r"tests:write, at=\): .* naive"),
    (lambda s: s.assert_scheduled(write, at=timedelta(1)), TypeError, r"tests:write, at=\): .*timezone.now\(\) \+"),
    (lambda s: s.assert_scheduled(write, after=-1), InvalidSchedule, r"tests:write, after=\): .*negative"),
    (lambda s: s.assert_scheduled(write, after="x"), TypeError, r"tests:write, after=\): .*not str"),
    (lambda s: s.assert_scheduled(write, times="x"), TypeError, "whole number, not 'x'"),
    (lambda s: s.assert_scheduled(write, times=-1), ValueError, "-1 is negative"),
    (lambda s: s.using("nowhere"), ConnectionDoesNotExist, "There are: default"),
    (lambda s: ManualScheduler(using="defualt"), ConnectionDoesNotExist, "Did you mean 'default'"),
]


@pytest.mark.parametrize(("attempt", "error", "says"), TABLE)
def test_wrong_use_of_the_helpers_says_what_they_take(attempt, error, says, scheduler):
    ctx.scheduler.run_after(0, write, label="waits")
    with pytest.raises(error, match=says):
        attempt(scheduler)
    assert len(scheduler.scheduled()) == 1


def test_a_clock_that_goes_on_cannot_be_moved_and_the_answer_is_how_to_stop_it():
    with pytest.raises(RuntimeError, match="in a with block, SchedulerTestMixin, or the fixture scheduler"):
        ManualScheduler().advance(days=1)


def test_a_set_up_that_does_not_call_that_of_the_mixin_is_told_to():
    class Forgetful(SchedulerTestMixin, TestCase):
        def setUp(self) -> None:
            self.scheduler.run_all()

    class Reversed(TestCase, SchedulerTestMixin): ...

    Reversed().setUp()
    with pytest.raises(SchedulerError, match="name SchedulerTestMixin before TestCase"):
        _ = Reversed().scheduler
    with pytest.raises(SchedulerError, match=r"Forgetful has no self\.scheduler.* own setUp with super\(\)\.setUp\(\)"):
        Forgetful().setUp()


def test_nothing_may_run_with_max_runs_0(scheduler):
    ctx.scheduler.run_after(0, write, label="too many")
    with pytest.raises(AssertionError, match=r"0 functions have run, and tests:write \d+ is next\. If this ends"):
        scheduler.run_all(max_runs=0)
