"""What ``ctx`` knows of what runs now, wherever it is asked."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace

import pytest
from asgiref.sync import sync_to_async

from django_scheduler import Context, ScheduledFunctionId, action, ctx, mutation
from django_scheduler.models import ScheduledFunction, State
from tests.functions import schedule_through_import, write, write_and_raise
from tests.models import Entry
from tests.support.elsewhere import elsewhere
from tests.support.in_process import executing
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def seen_by_a_service():
    return ctx.function_id


@mutation(name="context_of_a_mutation")
def in_mutation(context: Context) -> list[object]:
    return [context.function_id, ctx.function_id, seen_by_a_service()]


def result_of(function, execute_due, **arguments):
    function_id = ctx.scheduler.run_after(0, function, **arguments)
    execute_due()
    row = ScheduledFunction.objects.get(pk=function_id)
    assert row.state == State.SUCCESS, row.traceback
    return function_id, row.decoded_result()


def test_outside_of_any_function_there_is_none():
    assert ctx.function_id is None
    assert ctx.running is None
    assert Context().function_id is None
    assert ctx.run_mutation(in_mutation) == [None, None, None]


def test_in_a_mutation(execute_due):
    function_id, seen = result_of(in_mutation, execute_due)
    assert seen == [function_id] * 3


def test_in_an_action_and_in_everything_that_it_calls(execute_due):
    @action
    async def inner_async(context: Context) -> list[object]:
        return [context.function_id, ctx.function_id, await sync_to_async(seen_by_a_service)()]

    @action
    def inner(context: Context) -> list[object]:
        return [context.function_id, *ctx.run_mutation(in_mutation)]

    @action
    def outer(context: Context) -> list[object]:
        before = [context.function_id, ctx.function_id]
        within = [
            *context.run_mutation(in_mutation),
            *ctx.run_mutation(in_mutation),
            *context.run_action(inner),
            *ctx.run_action(inner_async),
        ]
        with pytest.raises(ValueError, match="is not to be"):
            ctx.run_mutation(write_and_raise, label="a")
        return [*before, *within, context.function_id, ctx.function_id]

    function_id, seen = result_of(outer, execute_due)
    assert seen == [function_id] * 17
    assert ctx.function_id is None


def test_in_an_async_action_and_in_everything_that_it_calls(execute_due):
    @action
    async def inner(context: Context) -> list[object]:
        return [context.function_id, ctx.function_id, *await ctx.arun_mutation(in_mutation)]

    @action
    async def outer(context: Context) -> list[object]:
        return [
            ctx.function_id,
            *await context.arun_mutation(in_mutation),
            *await context.arun_action(inner),
            await sync_to_async(seen_by_a_service)(),
            ctx.function_id,
        ]

    function_id, seen = result_of(outer, execute_due)
    assert seen == [function_id] * 11


def test_in_a_thread_the_given_ctx_knows_it_and_the_imported_one_if_it_is_told(execute_due):
    @action
    def outer(context: Context) -> list[object]:
        with ThreadPoolExecutor(1) as pool:
            return [
                pool.submit(lambda: context.function_id).result(),
                pool.submit(seen_by_a_service).result(),
                pool.submit(copy_context().run, seen_by_a_service).result(),
            ]

    function_id, seen = result_of(outer, execute_due)
    assert seen == [function_id, None, function_id]


def test_in_a_thread_the_given_ctx_schedules_as_the_functions_child(execute_due):
    @action
    def outer(ctx: Context) -> list[object]:
        return [
            elsewhere(lambda: ctx.scheduler.run_after(0, write, label="a")),
            elsewhere(lambda: ctx.run_mutation(in_mutation))[0],
        ]

    function_id, (child, seen) = result_of(outer, execute_due)
    assert seen == function_id
    assert ScheduledFunction.objects.get(pk=child).parent_id == function_id


def test_what_a_service_schedules_through_the_import_is_the_functions_child(execute_due):
    function_id, _ = result_of(schedule_through_import, execute_due, label="a")
    child = ScheduledFunction.objects.exclude(pk=function_id).get()
    assert child.parent_id == function_id
    assert Entry.objects.get().function_id == child.pk


def test_functions_that_run_at_the_same_time_do_not_mix(transactional_db):
    together = threading.Barrier(5, timeout=20)

    @action
    async def ask(context: Context) -> list[object]:
        await asyncio.to_thread(together.wait)
        return [context.function_id, ctx.function_id]

    ids = ctx.scheduler.run_after_many(0, ask, [{}] * 5)
    succeeded = ScheduledFunction.objects.filter(pk__in=ids, state=State.SUCCESS)
    with executing(concurrency=5):
        wait_until(lambda: succeeded.count() == 5, "all of them succeeded")
    rows = ScheduledFunction.objects.in_bulk(ids)
    assert [rows[function_id].decoded_result() for function_id in ids] == [[function_id] * 2 for function_id in ids]


def test_a_ctx_that_belongs_to_a_function_goes_on_to_belong_to_it_within_another_one(execute_due):
    @action
    def outer(context: Context) -> list[object]:
        assert context.running is not None
        of_another = ctx.bound_to(replace(context.running, function_id=ScheduledFunctionId(5)))
        return [of_another.function_id, *of_another.run_mutation(in_mutation), ctx.function_id]

    function_id, seen = result_of(outer, execute_due)
    assert seen == [5, 5, 5, 5, function_id]


def test_called_plainly_a_function_runs_with_the_ctx_that_it_is_given(execute_due):
    @action
    def outer(context: Context) -> list[object]:
        return in_mutation(context)

    function_id, seen = result_of(outer, execute_due)
    assert seen == [function_id] * 3
    assert in_mutation(ctx) == [None] * 3
