"""What is ahead: counted for the overview's histogram."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import available_timezones

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from django_scheduler import crons, ctx
from django_scheduler.crons import preview
from django_scheduler.crons.models import Cron
from django_scheduler.crons.preview import _grid_slots, next_runs, upcoming
from tests.crons.conftest import NOON
from tests.crons.functions import tick

HOUR = timedelta(hours=1)


@pytest.mark.once
def test_slots_of_all_active_crons_are_counted_hour_by_hour(clock):
    ctx.crons.register("every 20 minutes", crons.Interval(minutes=20), tick)
    for name in ("one", "another"):
        ctx.crons.register(name, crons.Hourly(minute=30), tick)
    ctx.crons.register("at 14 in Berlin", crons.Daily(hour=16, minute=0, timezone="Europe/Berlin"), tick)
    ctx.crons.register("paused", crons.Interval(minutes=1), tick)
    ctx.crons.pause("paused")
    assert upcoming(NOON, NOON + 4 * HOUR, width=HOUR) == [5, 5, 6, 5]


def test_the_last_part_may_be_shorter_and_its_end_does_not_belong_to_it(clock):
    ctx.crons.register("hourly", crons.Hourly(minute=0, timezone="UTC"), tick)
    ctx.crons.register("every hour", crons.Interval(hours=1), tick)
    assert upcoming(NOON, NOON + 2 * HOUR, width=1.5 * HOUR) == [3, 0]


@pytest.mark.once
def test_a_cron_that_comes_up_every_second_is_counted_without_a_look_at_each_slot(clock):
    for number in range(100):
        ctx.crons.register(f"cron {number}", crons.Interval(seconds=1), tick)
    assert upcoming(NOON, NOON + 24 * HOUR, width=HOUR) == [360_000] * 24


@pytest.mark.once
def test_a_cron_that_comes_up_every_minute_in_each_zone_is_counted_without_a_look_at_each_slot(clock, monkeypatch):
    zones = sorted(zone for zone in available_timezones() if zone.startswith("America/"))[:60]
    for zone in zones:
        ctx.crons.register(f"cron in {zone}", crons.CronLine("* * * * *", timezone=zone), tick)
    looked_at, look = [], CronSim.__next__

    def note(sim: CronSim) -> datetime:
        looked_at.append(sim)
        return look(sim)

    monkeypatch.setattr(CronSim, "__next__", note)
    assert upcoming(NOON, NOON + 24 * HOUR, width=HOUR) == [59 * len(zones), *[60 * len(zones)] * 23]
    assert len(looked_at) <= len(zones)  # to see whether a line is valid


def test_of_very_many_crons_only_those_that_run_first_are_counted(clock, monkeypatch):
    monkeypatch.setattr(preview, "MOST_CRONS", 2)
    for minute in (10, 20, 30):
        ctx.crons.register(f"cron {minute}", crons.Hourly(minute=minute), tick)
    assert upcoming(NOON, NOON + HOUR, width=HOUR / 6) == [0, 1, 1, 0, 0, 0]


#: About when the clocks of these zones change, and at other times.
AROUND_CHANGES = [
    datetime(2026, 3, 28, 20, tzinfo=UTC),
    datetime(2026, 10, 24, 20, tzinfo=UTC),
    datetime(2026, 4, 4, 10, tzinfo=UTC),
    datetime(2026, 10, 3, 10, tzinfo=UTC),
    datetime(2026, 11, 1, 0, tzinfo=UTC),
    datetime(2026, 2, 27, 0, tzinfo=UTC),
]
LINES = ["* * * * *", "*/7 * * * *", "0-59/13 0-23 * * *", "30 2 * * *", "0 3 * * *", "0,30 1-3 * * *",
         "15 */2 * * sun", "0 0 L * *", "5 4 1 * mon", "45 1,2 28-31 3,10 *", "0 * * * mon#1"]  # fmt: skip
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"]


@given(
    st.sampled_from(LINES),
    st.sampled_from(ZONES),
    st.sampled_from(AROUND_CHANGES),
    st.integers(0, 600),
    st.lists(st.integers(0, 400), min_size=1, max_size=5),
)
def test_slots_of_a_line_are_counted_as_if_each_were_looked_at(line, zone, about, minutes, lengths):
    schedule = crons.CronLine(line, timezone=zone)
    bounds = [about + timedelta(minutes=minutes, seconds=20)]
    for length in lengths:
        bounds.append(bounds[-1] + timedelta(minutes=length, seconds=length % 60))
    just_before = timedelta(microseconds=1)
    slots = list(schedule.slots(bounds[0] - just_before, bounds[-1], anchor=bounds[0]))
    assert schedule.count_slots(bounds) == [
        sum(start <= slot < end for slot in slots) for start, end in pairwise(bounds)
    ]


def test_a_cron_whose_zone_is_gone_is_not_counted(clock):
    ctx.crons.register("hourly", crons.Hourly(minute=0), tick)
    Cron.objects.update(timezone="Europe/Atlantis")
    assert upcoming(NOON, NOON + 2 * HOUR, width=HOUR) == [0, 0]


moments = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))


@given(moments, st.timedeltas(timedelta(seconds=1), timedelta(days=3)), moments, st.timedeltas(HOUR, 24 * HOUR))
def test_slots_on_a_grid_are_counted_as_if_each_were_looked_at(next_time, every, start, length):
    end = start + length
    cron = Cron(every=every, next_time=next_time)
    first = max(0, (start - next_time) // every - 1)
    slots = (next_time + number * every for number in range(first, first + length // every + 4))
    assert _grid_slots(cron, start, end) == sum(start <= slot < end for slot in slots)


def test_next_runs_of_a_cron_that_is_there_lie_on_its_grid():
    slots = next_runs(crons.Interval(minutes=7), NOON, 2, anchor=NOON - timedelta(minutes=5))
    assert slots == [NOON + timedelta(minutes=2), NOON + timedelta(minutes=9)]
