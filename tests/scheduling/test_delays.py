"""What a delay may be, and what is said about one that may not."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_scheduler.durations import FURTHEST
from django_scheduler.errors import InvalidSchedule, SchedulerError
from django_scheduler.times import parse_delay

pytestmark = pytest.mark.once

LONGEST = FURTHEST / timedelta(milliseconds=1)


@given(st.timedeltas(min_value=timedelta(0), max_value=FURTHEST))
def test_a_timedelta_is_taken_as_it_is(delay):
    assert parse_delay(delay) == delay


@given(st.integers(0, int(LONGEST)))
def test_a_whole_number_is_milliseconds(milliseconds):
    assert parse_delay(milliseconds) == timedelta(milliseconds=milliseconds)


@given(st.floats(0, LONGEST))
def test_a_float_is_milliseconds_to_the_nearest_microsecond(milliseconds):
    assert abs(parse_delay(milliseconds) / timedelta(milliseconds=1) - milliseconds) <= 0.0006


@pytest.mark.parametrize("nothing", [0, 0.0, -0.0, timedelta(0)])
def test_no_delay_at_all(nothing):
    assert parse_delay(nothing) == timedelta(0)


@pytest.mark.parametrize("longest", [FURTHEST, LONGEST, 5 * 366 * 24 * 60 * 60 * 1000])
def test_the_longest_delay_is_five_leap_years(longest):
    assert parse_delay(longest) == FURTHEST


@pytest.mark.parametrize("too_long", [FURTHEST + timedelta.resolution, LONGEST + 1, 1e300, 10**400, timedelta.max])
def test_a_longer_one_is_refused(too_long):
    with pytest.raises(InvalidSchedule, match="longer than 1830 days"):
        parse_delay(too_long)


@given(
    st.one_of(
        st.timedeltas(max_value=-timedelta.resolution),
        st.integers(max_value=-1),
        st.floats(max_value=0, exclude_max=True, allow_infinity=False, allow_nan=False),
    )
)
def test_a_negative_one_is_refused_however_small(negative):
    with pytest.raises(InvalidSchedule, match="run_at"):
        parse_delay(negative)


@pytest.mark.parametrize("boundless", [float("nan"), float("inf"), float("-inf")])
def test_one_that_is_not_finite_is_refused(boundless):
    with pytest.raises(InvalidSchedule, match="must be finite"):
        parse_delay(boundless)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_that_python_will_not_even_print_is_refused_all_the_same(sign):
    with pytest.raises(InvalidSchedule):
        parse_delay(sign * 10**5_000)


@pytest.mark.parametrize("wrong", [True, False, "0", None, Decimal(5), 1j, b"5", datetime(2030, 1, 1), [0], object()])
def test_another_type_is_a_type_error_that_names_it(wrong):
    with pytest.raises(TypeError, match=f"milliseconds, not {type(wrong).__name__}") as caught:
        parse_delay(wrong)
    assert not isinstance(caught.value, SchedulerError)


def test_an_invalid_schedule_is_a_value_error_too():
    with pytest.raises(ValueError, match="negative"):
        parse_delay(-1)
