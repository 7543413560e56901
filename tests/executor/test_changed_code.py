"""The code has changed since a function was scheduled, and no other executor has the code that it needs."""

import logging

import pytest

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.models import Failure, Kind, ScheduledFunction, State
from tests.functions import note, write
from tests.models import Entry
from tests.support.records import record

pytestmark = pytest.mark.usefixtures("no_grace")


@mutation
def take_two(ctx: Context, *, first: int, second: int = 2) -> int:
    return first + second


def change(function_id: int, **columns: object) -> None:
    """As the row would be, had it been written by older code."""
    ScheduledFunction.objects.filter(pk=function_id).update(**columns)


@pytest.fixture
def next_one(execute_due):
    """The executor carries on with the rest."""
    yield
    next_id = ctx.scheduler.run_after(0, write, label="next")
    execute_due()
    assert record(next_id).state == State.SUCCESS


@pytest.mark.once
def test_function_that_is_gone_fails_with_its_name_and_the_rest_goes_on(execute_due, caplog):
    function_id = ctx.scheduler.run_after(0, write, label="gone")
    change(function_id, name="shop:removed_last_year")
    next_id = ctx.scheduler.run_after(0, write, label="next")

    with caplog.at_level(logging.INFO):
        execute_due()

    row = record(function_id)
    assert (row.state, row.failure, row.attempts) == (State.FAILED, Failure.MISSING, 1)
    assert "'shop:removed_last_year'" in row.error
    assert row.started_time is not None
    assert row.completed_time is not None
    assert any("shop:removed_last_year" in each.getMessage() for each in caplog.records)
    assert record(next_id).state == State.SUCCESS


def test_mutation_that_has_become_an_action_runs_as_an_action(execute_due):
    function_id = ctx.scheduler.run_after(0, note, label="noted")
    change(function_id, kind=Kind.MUTATION)

    execute_due()

    assert (record(function_id).state, record(function_id).kind) == (State.SUCCESS, Kind.ACTION)


def test_action_that_has_become_a_mutation_runs_as_a_mutation(execute_due):
    function_id = ctx.scheduler.run_after(0, "tests:write_and_raise", label="undone")
    change(function_id, kind=Kind.ACTION)

    execute_due()

    assert (record(function_id).state, record(function_id).kind) == (State.FAILED, Kind.MUTATION)
    assert not Entry.objects.exists()


@pytest.mark.once
@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({}, "tests:take_two(*, first: int, second: int = 2) -> int cannot be called like this: missing a required"),
        ({"first": 1, "third": 3}, "cannot be called like this: got an unexpected keyword argument 'third'"),
        ({"first": {"$enum": ["shop.models:Gone", "X"]}}, "tests:take_two: argument first"),
        ({"first": {"$nonsense": 1}}, "tests:take_two: argument first"),
        ([1, 2], "tests:take_two: the stored arguments are not a JSON object"),
        ("first", "tests:take_two: the stored arguments are not a JSON object"),
    ],
)
def test_arguments_that_no_longer_fit_fail_with_the_name_of_the_function_and_the_reason(
    execute_due, next_one, args, error
):
    function_id = ctx.scheduler.run_after(0, take_two, first=1)
    change(function_id, args=args)

    execute_due()

    row = record(function_id)
    assert (row.state, row.failure, row.attempts) == (State.FAILED, Failure.ERROR, 1)
    assert row.error.startswith("InvalidArguments: ")
    assert error in row.error


def test_parameter_that_has_been_added_with_a_default_takes_it(execute_due):
    function_id = ctx.scheduler.run_after(0, take_two, first=1)

    execute_due()

    assert record(function_id).decoded_result() == 3


@action
def take_one(ctx: Context, *, first: int) -> int:
    return first


@pytest.mark.once
def test_action_whose_arguments_no_longer_fit_fails(execute_due, next_one):
    function_id = ctx.scheduler.run_after(0, take_one, first=1)
    change(function_id, args={"second": 1})

    execute_due()

    row = record(function_id)
    assert (row.state, row.failure) == (State.FAILED, Failure.ERROR)
    assert "tests:take_one" in row.error
