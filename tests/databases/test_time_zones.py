"""Whatever zone ``DATABASES`` names for a database, instants are instants: also in the hour that autumn repeats."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from threading import Event
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, connections
from django.utils import timezone
from freezegun import freeze_time
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_scheduler import crons, ctx
from django_scheduler.admin import statistics
from django_scheduler.crons import CronRun
from django_scheduler.databases import database_for
from django_scheduler.executor.crons import CronPoller
from django_scheduler.models import ScheduledFunction, State
from django_scheduler.record import RetentionRule
from tests.crons.functions import tick
from tests.functions import write
from tests.models import Entry
from tests.support.in_process import execute_with_one_worker
from tests.support.records import record

pytestmark = pytest.mark.django_db(transaction=True)

#: On these nights its clocks change, at 01:00 UTC.
BERLIN = ZoneInfo("Europe/Berlin")
AUTUMN, SPRING = datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 3, 29, tzinfo=UTC)

several_examples = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)


@pytest.fixture(autouse=True)
def zone(transactional_db, monkeypatch) -> Iterator[None]:
    """The database's own zone is that of Berlin."""

    def forget() -> None:
        connection.close()
        for name in ("timezone", "timezone_name"):
            vars(connections["default"]).pop(name, None)  # as they are computed once

    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "TIME_ZONE", BERLIN.key)
        forget()
        yield
    forget()


@pytest.fixture
def travel(python_clock) -> Iterator[Callable[[datetime], Any]]:
    """Python's clock decides, and stands where it is told to."""
    with freeze_time(AUTUMN, tick=False) as frozen:
        yield frozen.move_to


@pytest.fixture
def fire_and_execute_due(transactional_db) -> Callable[[], None]:
    """Fire the crons that are due and execute what is due, and do nothing else that an executor does."""

    def execute() -> None:
        CronPoller(database_for("default"), keeps_firing=False, stopping=Event()).run()
        execute_with_one_worker()

    return execute


def started() -> list[str]:
    return list(Entry.objects.order_by("pk").values_list("label", flat=True))


@pytest.mark.parametrize("night", [AUTUMN, SPRING], ids=["autumn", "spring"])
def test_functions_start_when_they_are_due_and_no_minute_earlier(night, travel, fire_and_execute_due):
    travel(night)
    for minutes in range(0, 180, 20):
        ctx.scheduler.run_at(night + timedelta(minutes=minutes), write, label=f"at {minutes}")
        ctx.scheduler.run_after(timedelta(minutes=minutes), write, label=f"after {minutes}")
    ctx.scheduler.run_after(timedelta(days=1), write, label="tomorrow")
    for minutes in range(10, 180, 20):
        travel(night + timedelta(minutes=minutes))
        fire_and_execute_due()
        due = [f"{how} {earlier}" for earlier in range(0, minutes, 20) for how in ("at", "after")]
        assert started() == due
    travel(night + timedelta(days=1, seconds=-1))
    fire_and_execute_due()
    assert "tomorrow" not in started()
    travel(night + timedelta(days=1))
    fire_and_execute_due()
    assert started()[-1] == "tomorrow"


def test_a_local_time_that_comes_twice_is_taken_as_it_was_meant(travel, fire_and_execute_due):
    travel(AUTUMN)
    for fold in (1, 0):
        ctx.scheduler.run_at(datetime(2026, 10, 25, 2, 30, fold=fold, tzinfo=BERLIN), write, label=f"fold {fold}")
    travel(AUTUMN + timedelta(minutes=45))
    fire_and_execute_due()
    assert started() == ["fold 0"]
    travel(AUTUMN + timedelta(minutes=100))
    fire_and_execute_due()
    assert started() == ["fold 0", "fold 1"]


def test_of_two_queues_the_one_that_has_waited_for_longer_is_served_first(travel, fire_and_execute_due):
    """02:50 in summer time is twenty minutes before 02:10 in winter time."""
    travel(AUTUMN)
    for minutes, queue in ((70, "winter"), (50, "summer")):
        function_id = ctx.scheduler.run_after(timedelta(minutes=minutes), write, label=queue)
        ScheduledFunction.objects.filter(pk=function_id).update(queue=queue)
    travel(AUTUMN + timedelta(hours=3))
    fire_and_execute_due()
    assert started() == ["summer", "winter"]


def test_nothing_takes_less_than_no_time_or_an_hour_too_long(travel, fire_and_execute_due):
    travel(AUTUMN + timedelta(hours=1, microseconds=-1))
    ids = ctx.scheduler.run_after_many(0, write, [{"label": str(number)} for number in range(8)])
    fire_and_execute_due()
    for row in ScheduledFunction.objects.filter(pk__in=ids):
        assert row.started_time is not None
        assert row.completed_time is not None
        assert row.creation_time <= row.due_time <= row.started_time <= row.completed_time
        assert row.completed_time - row.creation_time < timedelta(minutes=1)


@pytest.mark.parametrize("night", [AUTUMN, SPRING], ids=["autumn", "spring"])
@pytest.mark.parametrize(
    "schedule",
    [crons.Interval(minutes=20), crons.CronLine("*/20 * * * *", timezone="Europe/Berlin")],
    ids=["interval", "line"],
)
def test_a_cron_keeps_running_every_twenty_minutes_all_night(night, schedule, travel, fire_and_execute_due):
    travel(night)
    ctx.crons.register("all night", schedule, tick)
    for minutes in range(10, 190, 20):
        travel(night + timedelta(minutes=minutes))
        fire_and_execute_due()
    runs = CronRun.objects.filter(cron__name="all night").order_by("pk")
    slots = [slot for slot in runs.values_list("slot", flat=True) if slot]
    assert len(slots) in (8, 9)  # an interval begins at once
    assert {later - earlier for earlier, later in pairwise(slots)} == {timedelta(minutes=20)}
    assert Entry.objects.count() == len(slots)


instants = st.one_of(
    *(
        st.datetimes(change - timedelta(hours=3), change + timedelta(hours=3))
        for change in (datetime(2026, 3, 29, 1), datetime(2026, 10, 25, 1), datetime(2026, 11, 1, 6))
    )
).map(lambda naive: naive.replace(tzinfo=UTC))
zones = st.sampled_from([UTC, BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")])


@several_examples
@given(st.lists(instants, min_size=2, max_size=6, unique=True), zones)
def test_every_instant_comes_back_in_its_order(times, caller_zone):
    ScheduledFunction.objects.all().delete()
    with freeze_time(datetime(2026, 6, 1, tzinfo=UTC)):
        ids = [ctx.scheduler.run_at(each.astimezone(caller_zone), write, label="") for each in times]
        rows = ScheduledFunction.objects.in_bulk(ids)
        assert [rows[pk].scheduled_time for pk in ids] == times
        in_order = ScheduledFunction.objects.order_by("scheduled_time").values_list("scheduled_time", flat=True)
        assert list(in_order) == sorted(times)
        middle = sorted(times)[len(times) // 2].astimezone(caller_zone)
        before = ScheduledFunction.objects.filter(scheduled_time__lt=middle).count()
        assert before == len(times) // 2
        assert all(b.scheduled_time - a.scheduled_time == t - s for (a, s), (b, t) in pairwise(
            (rows[pk], time) for pk, time in zip(ids, times, strict=True)
        ))  # fmt: skip


@several_examples
@given(st.timedeltas(timedelta(0), timedelta(days=5 * 366)))
def test_a_delay_is_as_long_as_it_is_however_clocks_change_meanwhile(delay):
    row = record(ctx.scheduler.run_after(delay, write, label=""))
    assert abs(row.scheduled_time - row.creation_time - delay) < timedelta(seconds=1)
    assert row.due_time == row.scheduled_time


def test_the_present_and_the_past_are_those_of_the_database():
    database = database_for("default")
    row = record(ctx.scheduler.run_after(0, write, label=""))
    assert abs(database.current_time() - row.creation_time) < timedelta(minutes=1)
    assert abs(database.current_time() - timezone.now()) < timedelta(minutes=1)
    for days in (1, 200):
        ScheduledFunction.objects.update(completed_time=database.now(), state=State.SUCCESS)
        assert not RetentionRule(timedelta(days=days)).rows(database).exists()
        ScheduledFunction.objects.update(completed_time=timezone.now() - timedelta(days=days, minutes=1))
        assert RetentionRule(timedelta(days=days)).rows(database).exists()


def test_the_overview_counts_each_function_in_its_minute(travel, fire_and_execute_due):
    travel(AUTUMN + timedelta(hours=1, minutes=1))
    ctx.scheduler.run_after(0, write, label="now")
    ctx.scheduler.run_after(timedelta(minutes=299), write, label="later")
    fire_and_execute_due()
    minutes = statistics.course(ScheduledFunction.objects.all(), statistics.PERIODS["hour"]).throughput
    assert "1 succeeded" in minutes.bars[-1].title
    hours = statistics.upcoming(ScheduledFunction.objects.all())
    assert hours.bars[5].title.endswith(": 1")
