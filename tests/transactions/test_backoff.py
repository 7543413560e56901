"""The wait before a retry: from nothing to a bound that doubles up to a maximum."""

from datetime import timedelta

from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from django_scheduler.transactions.backoff import DoublingWait, backoff

durations = st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(days=100_000))


@given(st.integers(min_value=1, max_value=10_000))
def test_wait_is_at_most_half_a_second_doubled_for_each_attempt_and_at_most_two_hours(attempts):
    doubled = timedelta(seconds=0.5) * 2 ** min(attempts - 1, 20)

    assert timedelta(0) <= backoff(attempts) <= min(doubled, timedelta(hours=2))


@given(st.integers(min_value=1, max_value=2**31), durations, durations)
def test_wait_keeps_to_the_settings_and_never_overflows(attempts, initial, maximum):
    with override_settings(DJANGO_SCHEDULER={"BACKOFF_INITIAL": initial, "BACKOFF_MAXIMUM": maximum}):
        wait = backoff(attempts)

    assert timedelta(0) <= wait <= maximum
    if attempts < 60:
        assert wait / initial <= 2 ** (attempts - 1) * 1.001 + 1


@given(st.integers(min_value=15, max_value=10_000))
def test_waits_of_many_that_failed_together_are_spread_over_the_whole_range(attempts):
    waits = [backoff(attempts) for _ in range(100)]

    assert min(waits) < timedelta(hours=1) < max(waits)


def test_wait_doubles_up_to_the_longest_and_begins_anew_after_a_success():
    wait = DoublingWait(first=0.5, longest=3.0)
    assert [wait.next() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    wait.reset()
    assert wait.next() == 0.5
