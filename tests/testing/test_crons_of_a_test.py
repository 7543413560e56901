"""Crons in a test: those of the code are there, and fire when the test lets time pass."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import transaction
from django.test import TestCase
from freezegun import freeze_time

from django_scheduler import crons, ctx
from django_scheduler.crons.models import Cron, CronRun
from django_scheduler.errors import CronExists, CronUnfinished, SchedulerError, UnknownCron
from django_scheduler.testing import SchedulerTestMixin, TooManyRuns
from tests.functions import note, note_and_raise, write
from tests.models import Entry

pytestmark = pytest.mark.once

MIDNIGHT = datetime(2026, 6, 1, tzinfo=UTC)


def labels() -> list[str]:
    return list(Entry.objects.order_by("pk").values_list("label", flat=True))


def test_a_cron_of_the_code_fires_while_time_passes(scheduler):
    crons.register("tick", crons.CronLine("0 9 * * *", timezone="UTC"), write, label="tick")
    with time_machine.travel(MIDNIGHT, tick=False):
        executed = scheduler.advance(days=3)
    assert labels() == ["tick"] * 3
    assert [row.due_time.hour for row in executed] == [9, 9, 9]
    assert [run.slot.day for run in CronRun.objects.order_by("pk") if run.slot] == [1, 2, 3]
    assert set(CronRun.objects.values_list("state", flat=True)) == {"success"}


@freeze_time(MIDNIGHT)
def test_an_interval_begins_at_once_and_each_run_has_its_own_time(scheduler):
    crons.register("tick", crons.Interval(minutes=10), write, label="tick")
    executed = scheduler.advance(minutes=25)
    assert [row.due_time - MIDNIGHT for row in executed] == [timedelta(minutes=minutes) for minutes in (0, 10, 20)]


def test_crons_and_what_is_scheduled_take_turns(scheduler):
    crons.register("tick", crons.Interval(minutes=10), write, label="cron")
    ctx.scheduler.run_after(timedelta(minutes=5), write, label="in between")
    ctx.scheduler.run_after(timedelta(minutes=15), write, label="in between")
    scheduler.advance(minutes=10)
    scheduler.advance(minutes=10)
    assert labels() == ["cron", "in between", "cron", "in between", "cron"]


def test_nothing_fires_unless_time_is_advanced(scheduler):
    crons.register("tick", crons.Interval(minutes=10), write, label="cron")
    ctx.scheduler.run_after(timedelta(days=1), write, label="later")
    scheduler.run_due()
    scheduler.run_all()
    assert labels() == ["later"]
    scheduler.assert_nothing_scheduled()


def test_a_cron_that_the_code_defines_can_be_run_now(scheduler):
    crons.register("tick", crons.Daily(hour=7), note, label="now")
    function_id = ctx.crons.run_now("tick")
    scheduler.assert_scheduled(note, label="now", times=1)
    with pytest.raises(CronUnfinished):
        ctx.crons.run_now("tick")
    (row,) = scheduler.run_due()
    assert row.pk == function_id
    ctx.crons.run_now("tick")


def test_a_cron_that_the_code_defines_is_there_for_every_method(scheduler):
    crons.register("tick", crons.Daily(hour=7), note, label="x")
    assert [cron.name for cron in ctx.crons.list()] == ["tick"]
    ctx.crons.pause("tick")
    assert scheduler.advance(days=3) == []
    ctx.crons.resume("tick")
    assert len(scheduler.advance(days=1)) == 1
    assert ctx.crons.get("tick").state == "active"
    with pytest.raises(CronExists):
        ctx.crons.register("tick", crons.Daily(hour=7), note, label="x")


def test_a_name_that_the_code_defines_is_taken_at_once(scheduler):
    crons.register("tick", crons.Daily(hour=7), note, label="x")
    with pytest.raises(CronExists):
        ctx.crons.register("tick", crons.Daily(hour=7), note, label="x")
    with pytest.raises(UnknownCron):
        ctx.crons.run_now("tock")


def test_a_cron_of_run_time_fires_beside_those_of_the_code(scheduler):
    crons.register("code", crons.Interval(hours=1), write, label="code")
    ctx.crons.register("run time", crons.Interval(hours=2), write, label="run time")
    scheduler.advance(hours=2)
    assert sorted(labels()) == ["code"] * 3 + ["run time"] * 2


def test_what_a_run_raises_the_test_raises(scheduler):
    crons.register("tick", crons.Interval(hours=1), note_and_raise, label="x")
    with pytest.raises(ValueError, match="x went wrong"):
        scheduler.advance(minutes=1)
    scheduler.advance(hours=1, raise_failures=False)
    assert ctx.crons.get("tick").failures == 2


def test_a_function_that_cannot_be_scheduled_fails_the_test(scheduler):
    crons.register("tick", crons.Interval(hours=1), write, label="x")
    ctx.crons.get("tick")
    Cron.objects.update(function="tests:gone")
    with pytest.raises(SchedulerError, match="The cron 'tick' could not schedule tests:gone"):
        scheduler.advance(minutes=1)


def test_crons_do_not_count_as_too_many_runs_but_their_number_has_a_bound(scheduler, monkeypatch):
    crons.register("tick", crons.Interval(minutes=10), write, label="x")
    assert len(scheduler.advance(hours=2, max_runs=1)) == 13
    monkeypatch.setattr("django_scheduler.testing.manual_scheduler.MOST_SLOTS", 20)
    with pytest.raises(TooManyRuns, match=r"Crons have come up 21 times\. .*DJANGO_SCHEDULER\['CRONS'\] = False"):
        scheduler.advance(days=1)


def test_where_crons_are_switched_off_none_fires_and_they_can_still_be_run(scheduler, settings):
    settings.DJANGO_SCHEDULER = {"CRONS": False}
    crons.register("tick", crons.Interval(minutes=10), write, label="x")
    assert scheduler.advance(days=1) == []
    ctx.crons.run_now("tick")
    assert len(scheduler.run_due()) == 1


def test_a_slot_that_has_to_wait_for_a_run_fires_after_it(scheduler):
    crons.register("tick", crons.Interval(minutes=10, catch_up="all"), write, label="x")
    ctx.crons.get("tick")
    Cron.objects.update(next_time=ctx.crons.get("tick").anchor - timedelta(minutes=20))
    scheduler.advance(minutes=5)
    assert labels() == ["x"] * 3


@pytest.mark.django_db(transaction=True)
def test_it_is_the_same_without_a_transaction_around_the_test(scheduler):
    crons.register("tick", crons.Interval(minutes=10), write, label="x")
    scheduler.advance(minutes=10)
    assert labels() == ["x"] * 2


class InATestCase(SchedulerTestMixin, TestCase):
    def test_the_shops_own_cron_fires_and_can_be_run(self):
        crons.register("tick", crons.Weekly(day="sunday", hour=3), write, label="weekly")
        assert len(self.scheduler.advance(days=14)) == 2
        with transaction.atomic():
            ctx.crons.run_now("tick")
        assert len(self.scheduler.run_due()) == 1
