"""An action that is called directly."""

import threading
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection

from django_scheduler import Context, action, api, ctx, internal_action, mutation
from django_scheduler.errors import InvalidArguments, SchedulerError
from django_scheduler.models import ScheduledFunction, State
from tests.functions import note, note_and_raise, note_async
from tests.models import Entry

pytestmark = pytest.mark.django_db

#: For calls that a type checker would reject.
unchecked: Any = ctx


@pytest.mark.parametrize(
    "reference", [note, api.tests.note, "tests:note", note_async, api.tests.note_async, "tests:note_async"], ids=str
)
def test_it_runs_now_sync_or_async_and_returns_what_the_action_returns(reference):
    assert ctx.run_action(reference, label="a") == "a"
    assert Entry.objects.get().function_id is None
    assert not ScheduledFunction.objects.exists()


def test_for_async_callers_sync_or_async():
    async def both():
        return await ctx.arun_action(note, label="a"), await ctx.arun_action(note_async, label="b")

    assert async_to_sync(both)() == ("a", "b")


def test_an_exception_reaches_the_caller_and_what_was_written_remains():
    with pytest.raises(ValueError, match="went wrong"):
        ctx.run_action(note_and_raise, label="a")
    assert Entry.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_it_has_no_transaction():
    @internal_action
    def look(ctx: Context) -> bool:
        return connection.in_atomic_block

    assert ctx.run_action(look) is False


def test_an_action_calls_others():
    @action
    async def inner(ctx: Context, label: str) -> str:
        return await ctx.arun_action(note_async, label=label)

    @action
    def outer(ctx: Context) -> str:
        return ctx.run_action(inner, "a")

    assert ctx.run_action(outer) == "a"


def test_wrong_arguments_are_refused_before_it_runs():
    with pytest.raises(InvalidArguments, match="tests:note"):
        unchecked.run_action(note, title="a")
    assert not Entry.objects.exists()


@pytest.mark.parametrize("reference", [note, note_async])
def test_inside_a_mutation_it_is_refused_with_what_to_do(reference):
    @mutation
    def call_it(ctx: Context) -> None:
        ctx.run_action(reference, label="a")

    @mutation
    def call_it_through_the_import(context: Context) -> None:
        ctx.run_action(reference, label="a")

    for function in [call_it, call_it_through_the_import]:
        with pytest.raises(SchedulerError, match=r"inside a mutation.*ctx\.scheduler\.run_after\(0, note"):
            ctx.run_mutation(function)
    assert not Entry.objects.exists()


def test_inside_a_mutation_that_an_action_calls_it_is_refused_too(execute_due):
    @mutation
    def call_it(ctx: Context) -> None:
        ctx.run_action(note, label="a")

    @action
    def outer(ctx: Context) -> None:
        ctx.run_mutation(call_it)

    function_id = ctx.scheduler.run_after(0, outer)
    execute_due()
    row = ScheduledFunction.objects.get(pk=function_id)
    assert (row.state, row.error.split(":")[0]) == (State.FAILED, "SchedulerError")


def test_an_async_action_is_not_waited_for_on_the_loop_that_would_run_it():
    async def wrong():
        ctx.run_action(note_async, label="a")

    with pytest.raises(RuntimeError, match="await"):
        async_to_sync(wrong)()
    assert not Entry.objects.exists()


def test_it_runs_in_the_callers_thread():
    @action
    def where(ctx: Context) -> int:
        return threading.get_ident()

    assert ctx.run_action(where) == threading.get_ident()
