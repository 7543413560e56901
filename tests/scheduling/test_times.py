"""What a time may be, and what is said about one that may not."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from django_scheduler.durations import FURTHEST
from django_scheduler.errors import InvalidSchedule
from django_scheduler.times import EPOCH, parse_time

pytestmark = pytest.mark.once

NOW = datetime(2030, 6, 1, 12, tzinfo=UTC)


def parsed_in_summer_2030(when):
    with freeze_time(NOW):
        return parse_time(when)


@pytest.mark.parametrize(
    "when",
    [
        NOW,
        NOW - timedelta(days=365),
        NOW + FURTHEST,
        NOW - FURTHEST,
        datetime(2030, 7, 1, 9, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2031, 1, 1, tzinfo=timezone(timedelta(hours=-9, minutes=-30))),
    ],
)
def test_an_aware_datetime_is_taken_as_it_is_past_or_future(when):
    assert parsed_in_summer_2030(when) == when


def test_the_hour_that_comes_twice_in_autumn_is_two_times():
    first = datetime(2030, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    again = first.replace(fold=1)
    assert first == again  # Python's own comparison within a zone ignores which of the two is meant
    assert parsed_in_summer_2030(again) - parsed_in_summer_2030(first) == timedelta(hours=1)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)))
def test_a_number_is_milliseconds_since_1970(when):
    when = when.replace(microsecond=when.microsecond // 1000 * 1000)
    assert parsed_in_summer_2030((when - EPOCH) // timedelta(milliseconds=1)) == when


def test_a_float_keeps_its_microseconds():
    assert parsed_in_summer_2030(1_906_545_600_000.25) == datetime(2030, 6, 1, 12, microsecond=250, tzinfo=UTC)


@pytest.mark.parametrize(
    "too_far",
    [
        NOW + FURTHEST + timedelta.resolution,
        NOW - FURTHEST - timedelta.resolution,
        datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime.max.replace(tzinfo=ZoneInfo("America/New_York")),
    ],
)
def test_more_than_five_leap_years_away_is_refused_either_way(too_far):
    with pytest.raises(InvalidSchedule, match="more than 1830 days away"):
        parsed_in_summer_2030(too_far)


@pytest.mark.parametrize("too_far", [0, 1_906_545_600, 1_906_545_600_000_000, -1, 1e16, 1e300, -(10**400)])
def test_a_number_that_cannot_be_milliseconds_is_refused_and_told_what_it_was_taken_for(too_far):
    with pytest.raises(InvalidSchedule, match="taken as milliseconds since 1970"):
        parsed_in_summer_2030(too_far)


@pytest.mark.parametrize("boundless", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused(boundless):
    with pytest.raises(InvalidSchedule, match="must be finite"):
        parsed_in_summer_2030(boundless)


@pytest.mark.parametrize("naive", [datetime(2030, 7, 1), datetime.min, datetime.max])
def test_a_naive_datetime_is_refused_because_nobody_knows_when_it_is(naive):
    with pytest.raises(InvalidSchedule, match="needs a time zone"):
        parsed_in_summer_2030(naive)


@pytest.mark.parametrize(
    "wrong", [True, "2030-07-01T00:00:00Z", None, date(2030, 7, 1), timedelta(days=1), [], object()]
)
def test_another_type_is_a_type_error_that_names_it(wrong):
    with pytest.raises(TypeError, match=f"since the epoch, not {type(wrong).__name__}"):
        parsed_in_summer_2030(wrong)
