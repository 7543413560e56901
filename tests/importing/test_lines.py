"""The numbers of a crontab are written as a cron line that means the same, or not at all."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_scheduler import crons
from django_scheduler.errors import InvalidSchedule
from django_scheduler.importing.celery_schedules import line_of
from django_scheduler.importing.entries import Refusal
from tests.support.soak import examples

ALL = {"minutes": {*range(60)}, "hours": {*range(24)}, "days": {*range(1, 32)}, "months": {*range(1, 13)}}
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)


@settings(max_examples=examples(40, 100))
@given(
    days=st.one_of(
        st.sets(st.integers(1, 31), min_size=1, max_size=4),
        st.builds(lambda step: {*range(1, 32, step)}, st.integers(1, 31)),
        st.builds(lambda first: {*range(first, min(first + 7, 32))}, st.sampled_from([1, 8, 15, 22, 29])),
        st.just(ALL["days"]),
    ),
    months=st.one_of(st.sets(st.integers(1, 12), min_size=1), st.just(ALL["months"])),
    weekdays=st.sets(st.integers(0, 6), min_size=1),
    hours=st.sets(st.integers(0, 23), min_size=1, max_size=3),
)
def test_a_line_matches_on_the_days_on_which_both_days_match(days, months, weekdays, hours):
    try:
        line = line_of({0}, hours, days, months, weekdays)
        schedule = crons.CronLine(line, timezone="UTC")
    except (Refusal, InvalidSchedule):
        return
    expected = [
        day + timedelta(hours=hour)
        for day in (START + timedelta(days=number) for number in range((END - START).days))
        if day.month in months and day.day in days and day.isoweekday() % 7 in weekdays
        for hour in sorted(hours)
    ]
    assert [*schedule.slots(START - timedelta(seconds=1), END - timedelta(seconds=1), anchor=START)] == expected


@pytest.mark.parametrize(
    ("numbers", "line"),
    [
        ({"minutes": {0}, "hours": {9}}, "0 9 * * *"),
        ({"minutes": {*range(0, 60, 15)}}, "*/15 * * * *"),
        ({"minutes": {0, 30}}, "0,30 * * * *"),
        ({"minutes": {5, 6, 7, 20}, "hours": {*range(9, 18)}}, "5-7,20 9-17 * * *"),
        ({"minutes": {0}, "hours": {9}, "weekdays": {1, 2, 3, 4, 5}}, "0 9 * * mon-fri"),
        ({"minutes": {0}, "hours": {9}, "weekdays": {0, 6}}, "0 9 * * sun,sat"),
        ({"minutes": {0}, "hours": {9}, "days": {1, 15}, "months": {1, 2, 3, 12}}, "0 9 1,15 jan-mar,dec *"),
        ({"minutes": {0}, "hours": {9}, "days": {*range(8, 15)}, "weekdays": {2}}, "0 9 * * tue#2"),
    ],
)
def test_lines_are_written_as_people_write_them(numbers, line):
    assert line_of(**{**ALL, "weekdays": {*range(7)}, **numbers}) == line


def test_a_day_of_the_month_on_certain_weekdays_is_refused():
    with pytest.raises(Refusal, match="both have to match, and in a cron line one of the two is enough"):
        line_of({0}, {9}, {13}, ALL["months"], {5})
