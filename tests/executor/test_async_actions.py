"""Async actions: on one event loop, several at a time, with the ORM."""

import asyncio
import sys
import threading
from collections.abc import Coroutine
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction

from django_scheduler import Context, action, ctx
from django_scheduler.models import ScheduledFunction, State
from tests.functions import note, note_async
from tests.models import Entry
from tests.support.in_process import executing
from tests.support.records import record
from tests.support.waiting import wait_until

loops: list[asyncio.AbstractEventLoop] = []
gathered: list[asyncio.Event] = []
sessions: list[Any] = []


@pytest.fixture(autouse=True)
def _forgotten():
    loops.clear()
    gathered.clear()
    sessions.clear()


def test_async_action_uses_the_orm_and_its_result_is_recorded(execute_due):
    function_id = ctx.scheduler.run_after(0, note_async, label="noted")

    execute_due()

    row = record(function_id)
    assert (row.state, row.decoded_result(), row.attempts) == (State.SUCCESS, "noted", 1)
    assert Entry.objects.get().function_id == function_id


@action
async def meet(ctx: Context, *, number: int) -> bool:
    """Returns once all of them are here."""
    loops.append(asyncio.get_running_loop())
    gathered.append(asyncio.Event())
    if len(gathered) == number:
        for event in gathered:
            event.set()
    await asyncio.wait_for(gathered[-1].wait() if len(gathered) < number else asyncio.sleep(0), 20)
    return True


def test_async_actions_of_a_process_run_at_the_same_time_on_one_loop(transactional_db):
    ids = ctx.scheduler.run_after_many(0, meet, [{"number": 4}] * 4)

    with executing(concurrency=4):
        done = ScheduledFunction.objects.filter(pk__in=ids, state=State.SUCCESS)
        wait_until(lambda: done.count() == 4, "all of them have met")

    assert len(set(map(id, loops))) == 1


@action
async def use_sync_code(ctx: Context, *, label: str) -> list[Any]:
    def work() -> list[Any]:
        from django_scheduler import ctx

        sessions.append(connections["default"])
        with transaction.atomic():
            Entry.objects.create(label=label)
            ctx.scheduler.run_after(0, note, label="child")
        return [ctx.function_id, threading.current_thread().name]

    first, _ = await sync_to_async(work)()
    second, _ = await sync_to_async(work)()
    assert first == second
    return [first, len({id(each) for each in sessions})]


def test_sync_code_of_an_async_action_knows_its_function_and_keeps_one_connection(execute_due):
    function_id = ctx.scheduler.run_after(0, use_sync_code, label="in a thread")

    execute_due()

    assert record(function_id).decoded_result() == [function_id, 1]
    assert ScheduledFunction.objects.filter(parent=function_id, state=State.SUCCESS).count() == 2


def test_connections_of_async_actions_are_closed_when_they_end(execute_due):
    for number in range(5):
        ctx.scheduler.run_after(0, use_sync_code, label=str(number))

    execute_due()

    assert len({id(each) for each in sessions}) == 5
    assert [each.connection for each in sessions] == [None] * 10


async def fail() -> None:
    raise ValueError("asynchronously")


async def leave() -> None:
    sys.exit(3)


async def interrupt() -> None:
    raise KeyboardInterrupt


async def leave_in_a_task() -> None:
    await asyncio.create_task(leave())


async def cancel_itself() -> None:
    task = asyncio.current_task()
    assert task
    task.cancel()
    await asyncio.sleep(0)


async def stop_the_loop() -> None:
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0)
    raise ValueError("after stop")


ENDS = {each.__name__: each for each in [fail, leave, interrupt, leave_in_a_task, cancel_itself, stop_the_loop]}


@action
async def end_badly(ctx: Context, *, how: str) -> None:
    end: Coroutine[Any, Any, None] = ENDS[how]()
    await end


@pytest.mark.parametrize("how", ENDS)
def test_async_action_that_ends_badly_fails_and_the_loop_goes_on(execute_due, how):
    function_id = ctx.scheduler.run_after(0, end_badly, how=how)
    next_id = ctx.scheduler.run_after(0, note_async, label="next")

    execute_due()

    row = record(function_id)
    assert (row.state, row.failure) == (State.FAILED, "error")
    assert row.error
    assert record(next_id).state == State.SUCCESS


@action
async def return_nothing_storable(ctx: Context) -> object:
    return object()


def test_async_action_may_return_anything(execute_due):
    function_id = ctx.scheduler.run_after(0, return_nothing_storable)

    execute_due()

    assert record(function_id).state == State.SUCCESS
