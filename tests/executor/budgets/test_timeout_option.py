"""``timeout=`` is checked where the function is defined."""

from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_scheduler import Context, action, mutation


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 1e300, 1e-9, True, "60", timedelta(0)])
@pytest.mark.parametrize("decorator", [mutation, action])
def test_timeout_that_cannot_be_is_refused(decorator, timeout):
    def body(ctx: Context) -> None: ...

    with pytest.raises(ImproperlyConfigured, match="timeout= must be a positive timedelta or number of seconds"):
        decorator(timeout=timeout)(body)


@pytest.mark.parametrize("timeout", [5, 5.0, timedelta(seconds=5)])
def test_timeout_is_a_number_of_seconds_or_a_timedelta(timeout):
    @mutation(timeout=timeout, name=f"take_{type(timeout).__name__}")
    def body(ctx: Context) -> None: ...

    assert body.timeout == timedelta(seconds=5)


@mutation
def mutate_by_default(ctx: Context) -> None: ...


@action
def act_for_ever(ctx: Context) -> None: ...


@mutation(timeout=None)
def mutate_for_ever(ctx: Context) -> None: ...


def test_mutation_has_the_timeout_of_the_settings_and_action_none():
    assert mutate_by_default.timeout == timedelta(seconds=60)
    assert act_for_ever.timeout is None
    assert mutate_for_ever.timeout is None
    with override_settings(DJANGO_SCHEDULER={"MUTATION_TIMEOUT": None}):
        assert mutate_by_default.timeout is None
