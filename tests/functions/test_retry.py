"""How often, after what and how soon a function is tried again: what can be declared, and what it means."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from django_scheduler import Backoff, Context, Retry, action, internal_action, internal_mutation, mutation
from django_scheduler.errors import TransientError

seconds = st.floats(0, 10_000, allow_nan=False)


@given(initial=seconds, longer=seconds, failures=st.integers(1, 10_000))
def test_wait_is_between_nothing_and_what_doubles_up_to_a_maximum(initial: float, longer: float, failures: int) -> None:
    backoff = Backoff(initial=initial, maximum=timedelta(seconds=initial + longer))

    wait, longest = backoff.wait(failures), backoff.longest(failures)

    assert timedelta(0) <= wait <= longest <= timedelta(seconds=initial + longer)
    assert longest <= backoff.longest(failures + 1)
    if failures < 20:
        expected = min(initial * 2 ** (failures - 1), initial + longer)
        assert longest.total_seconds() == pytest.approx(expected, abs=1e-5)


#: As code calls them that no type checker has seen.
retry_of: Any = Retry
backoff_of: Any = Backoff
error_of: Any = TransientError


def test_waits_differ():
    backoff = Backoff(initial=timedelta(hours=1))
    assert len({backoff.wait(1) for _ in range(10)}) > 1


def test_number_of_attempts_comes_first():
    assert Retry(3) == Retry(max_attempts=3)
    assert Retry() == Retry(5, on=None, backoff=Backoff(initial=1, maximum=3600))


def test_what_is_declared_does_not_change():
    retry: Any = Retry(3)
    with pytest.raises(AttributeError):
        retry.max_attempts = 4


@pytest.mark.parametrize(
    ("declare", "problem"),
    [
        (lambda: retry_of(0), "at least 1, not 0"),
        (lambda: retry_of(True), "max_attempts= must be a whole number, not True"),
        (lambda: retry_of("3"), "max_attempts= must be a whole number"),
        (lambda: retry_of(3, on=ValueError), "tuple of classes"),
        (lambda: retry_of(3, on=("ValueError",)), "tuple of classes"),
        (lambda: retry_of(3, on=(SystemExit,)), "What is no Exception, such as SystemExit, is always final"),
        (lambda: retry_of(3, backoff=5), "backoff= must be a Backoff"),
        (lambda: backoff_of(initial=-1), "initial= must be from 0 seconds"),
        (lambda: backoff_of(initial=float("nan")), "initial= must be from 0 seconds"),
        (lambda: backoff_of(initial="1"), "initial= must be a timedelta or a number of seconds, not str"),
        (lambda: backoff_of(maximum=timedelta(days=3650)), "maximum= must be from 0 seconds to 1830 days"),
        (lambda: backoff_of(initial=10, maximum=5), "initial= cannot be longer than maximum="),
        (lambda: error_of("later", after=-1), "after= must be from 0 seconds"),
        (lambda: error_of("later", after=True), "after= must be a timedelta or a number of seconds"),
    ],
)
def test_what_cannot_be_meant_is_refused(declare, problem):
    with pytest.raises((TypeError, ValueError), match=problem):
        declare()


def test_transient_error_knows_when_to_try_again():
    assert TransientError("later").after is None
    assert TransientError("later", after=90).after == timedelta(seconds=90)
    assert str(TransientError("later", after=timedelta(days=1))) == "later"


@pytest.mark.parametrize("decorator", [mutation, internal_mutation, action, internal_action])
def test_every_function_may_be_tried_again(decorator):
    @decorator(retry=Retry(3))
    def try_again(ctx: Context) -> None: ...

    assert try_again.retry == Retry(3)


@pytest.mark.parametrize("decorator", [action, internal_action])
def test_action_that_is_idempotent_says_how_often(decorator):
    with pytest.raises(ImproperlyConfigured, match="idempotent= says that it may be tried again, and needs retry="):

        @decorator(idempotent=True)
        def say_too_little(ctx: Context) -> None: ...


@pytest.mark.parametrize("decorator", [mutation, internal_mutation])
def test_mutation_is_exactly_once_without_being_idempotent(decorator):
    with pytest.raises(ImproperlyConfigured, match="effects of a mutation happen exactly once anyway"):

        @decorator(idempotent=True, retry=Retry(3))
        def say_too_much(ctx: Context) -> None: ...


@pytest.mark.parametrize("retry", [3, Backoff(), True])
def test_what_is_no_retry_is_refused(retry):
    with pytest.raises(ImproperlyConfigured, match=r"retry= must be a Retry, as in retry=Retry\(max_attempts=3\)"):

        @action(retry=retry)
        def try_somehow(ctx: Context) -> None: ...


def test_a_time_that_is_given_as_part_of_the_message_is_refused():
    with pytest.raises(TypeError, match="write after=60"):
        TransientError("not ready", 60)
