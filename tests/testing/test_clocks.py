"""Whoever moves the time of a test: freezegun, time-machine, or nobody but the scheduler itself."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.template import Context, Template
from django.utils import timezone
from django.utils.timezone import now as imported_now
from freezegun import freeze_time

from django_scheduler import ctx
from django_scheduler.testing import ManualScheduler
from tests.functions import write
from tests.testing import functions
from tests.testing.functions import labels

pytestmark = [pytest.mark.django_db, pytest.mark.once]

NEW_YEAR = datetime(2031, 1, 1, tzinfo=UTC)

CLOCKS = {
    "freezegun": lambda: freeze_time(NEW_YEAR),
    "freezegun, ticking": lambda: freeze_time(NEW_YEAR, tick=True),
    "freezegun, stepping": lambda: freeze_time(NEW_YEAR, auto_tick_seconds=0.001),
    "time-machine": lambda: time_machine.travel(NEW_YEAR, tick=False),
    "time-machine, ticking": lambda: time_machine.travel(NEW_YEAR),
    "time-machine in freezegun's place and time": lambda: time_machine.travel(datetime(2001, 1, 1, tzinfo=UTC)),
    "none": nullcontext,
}


@pytest.fixture(params=list(CLOCKS.values()), ids=list(CLOCKS))
def clock(request):
    return request.param


def test_the_time_is_moved_whoever_is_in_charge_of_it(scheduler, clock):
    with clock():
        start = timezone.now()
        ctx.scheduler.run_after(timedelta(days=7), write, label="in a week")
        ctx.scheduler.run_after(timedelta(days=9), write, label="in nine days")
        scheduler.assert_scheduled(write, after=timedelta(days=7), at=start + timedelta(days=7))

        scheduler.advance(days=6)
        assert labels() == []
        scheduler.advance(days=2)
        assert labels() == ["in a week"]
        assert timedelta(days=8) <= timezone.now() - start < timedelta(days=8, minutes=5)

        scheduler.run_all()
        assert labels() == ["in a week", "in nine days"]


def test_no_time_can_pass_while_the_clock_goes_on(scheduler, clock):
    with clock():
        ctx.scheduler.run_after(0, write, label="at once")
        scheduler.advance()
        assert labels() == ["at once"]


def test_it_does_not_matter_what_is_started_first(clock):
    with clock(), ManualScheduler() as scheduler:
        start = timezone.now()
        ctx.scheduler.run_after(0, functions.count_down, days=3)

        assert len(scheduler.run_all()) == 4
        assert timezone.now() - start >= timedelta(days=3)


def test_what_moves_the_time_itself_makes_functions_due(scheduler):
    ctx.scheduler.run_after(timedelta(days=1), write, label="tomorrow")
    tomorrow = timezone.now() + timedelta(days=1)

    with freeze_time(tomorrow - timedelta(microseconds=1)):
        assert scheduler.run_due() == []
    with time_machine.travel(tomorrow, tick=False):
        assert len(scheduler.run_due()) == 1


def test_a_clock_that_ends_leaves_the_time_to_the_other_one():
    freezer = freeze_time(NEW_YEAR)
    freezer.start()
    with ManualScheduler() as scheduler:
        assert timezone.now() == NEW_YEAR
        freezer.stop()
        now = timezone.now()
        scheduler.advance(hours=1)
        assert timezone.now() - now >= timedelta(hours=1)
    assert timezone.now().year < 2031


def test_everything_that_asks_django_for_the_time_is_told_the_same(scheduler):
    start = timezone.now()
    scheduler.advance(days=1)

    assert imported_now() == timezone.now() == start + timedelta(days=1)
    assert timezone.localdate() == (start + timedelta(days=1)).date()
    assert Template("{{ when|date:'c' }}").render(Context({"when": NEW_YEAR})) == "2031-01-01T00:00:00+00:00"


def test_afterwards_time_goes_on():
    before = timezone.now()
    with ManualScheduler() as scheduler, ManualScheduler():
        scheduler.advance(days=100)
    assert before < timezone.now() < before + timedelta(days=1)


def test_time_does_not_go_back(scheduler):
    with pytest.raises(ValueError, match="forward"):
        scheduler.advance(hours=-1)


def test_a_time_that_cannot_be_moved_is_an_error(scheduler, monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NEW_YEAR)

    with pytest.raises(RuntimeError, match="could not be moved"):
        scheduler.advance(hours=1)
