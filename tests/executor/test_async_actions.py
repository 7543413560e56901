"""Async actions: on one event loop, several at a time, with the ORM."""

import asyncio
import contextvars
import sys
import threading
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction

from django_scheduler import Context, action, ctx
from django_scheduler.executor import event_loop
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


@pytest.mark.once
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


@pytest.mark.once
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


#: What tasks and generators of bodies have done, in order.
events: list[str] = []
kept: list[Any] = []


@pytest.fixture
def _nothing_has_happened():
    events.clear()
    kept.clear()
    yield
    kept.clear()


async def wait_for_ever(name: str = "task") -> None:
    try:
        await Entry.objects.acount()  # it has a connection
        await asyncio.Event().wait()
    finally:
        await Entry.objects.acreate(label=name)
        events.append(f"{name} has ended")


async def begin_another_one() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        kept.append(asyncio.create_task(wait_for_ever("another one")))


async def count_for_ever() -> AsyncIterator[int]:
    try:
        while True:
            yield len(events)
    finally:
        await asyncio.sleep(0)
        events.append("generator has ended")


async def leave_a_task() -> None:
    kept.append(asyncio.create_task(wait_for_ever()))
    await asyncio.sleep(0)


async def leave_a_task_and_raise() -> None:
    await leave_a_task()
    raise ValueError("with a task")


async def leave_a_task_that_begins_another_one() -> None:
    kept.append(asyncio.create_task(begin_another_one()))
    await asyncio.sleep(0)


async def leave_a_task_by_callback() -> None:
    asyncio.get_running_loop().call_soon(leave_a_task_at_once)


def leave_a_task_at_once() -> None:
    kept.append(asyncio.get_running_loop().create_task(wait_for_ever()))


async def leave_a_task_by_a_thread() -> None:
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(lambda: kept.append(asyncio.run_coroutine_threadsafe(wait_for_ever(), loop)))


async def leave_a_generator() -> None:
    kept.append(count_for_ever())
    await anext(kept[-1])


async def forget_a_generator() -> None:
    await anext(count_for_ever())


LEFTOVERS = {
    leave_a_task: "task has ended",
    leave_a_task_and_raise: "task has ended",
    leave_a_task_that_begins_another_one: "another one has ended",
    leave_a_task_by_callback: "task has ended",
    leave_a_task_by_a_thread: "task has ended",
    leave_a_generator: "generator has ended",
    forget_a_generator: "generator has ended",
}
BODIES: dict[str, Any] = {each.__name__: each for each in LEFTOVERS}


@action
async def leave_something(ctx: Context, *, what: str) -> None:
    await BODIES[what]()


@pytest.mark.once
@pytest.mark.usefixtures("_nothing_has_happened")
@pytest.mark.parametrize("what", LEFTOVERS)
def test_what_an_async_body_has_begun_ends_with_it(execute_due, what):
    ctx.scheduler.run_after(0, leave_something, what=what.__name__)

    execute_due()

    assert events == [LEFTOVERS[what]]


@pytest.mark.once
@pytest.mark.usefixtures("_nothing_has_happened")
def test_tasks_that_are_canceled_are_logged_with_their_function(execute_due, caplog):
    function_id = ctx.scheduler.run_after(0, leave_something, what="leave_a_task")

    execute_due()

    (message,) = [each.getMessage() for each in caplog.records if "wait_for_ever" in each.getMessage()]
    assert message.startswith(f"tests:leave_something {function_id}: ")
    assert record(function_id).state == State.SUCCESS


@action
async def await_all(ctx: Context) -> int:
    async with asyncio.TaskGroup() as tasks:
        for number in range(3):
            tasks.create_task(Entry.objects.acreate(label=str(number)))
    return len([each async for each in Entry.objects.all()])


@pytest.mark.once
def test_nothing_is_said_of_tasks_that_were_awaited(execute_due, caplog):
    function_id = ctx.scheduler.run_after(0, await_all)

    execute_due()

    assert record(function_id).decoded_result() == 3
    assert [each.levelname for each in caplog.records if "await_all" in each.getMessage()] == ["INFO"]


@action
async def wait_for_the_other_one(ctx: Context) -> str:
    """Returns once another action has ended and left a task, with a task of its own."""
    own = asyncio.create_task(asyncio.sleep(60))
    loops.append(asyncio.get_running_loop())
    gathered.append(asyncio.Event())
    await asyncio.wait_for(gathered[-1].wait(), 20)
    assert not own.done()
    own.cancel()
    return "went on"


@pytest.mark.once
@pytest.mark.usefixtures("_nothing_has_happened")
def test_tasks_of_other_actions_go_on(transactional_db):
    waiting_id = ctx.scheduler.run_after(0, wait_for_the_other_one)

    with executing(concurrency=2):
        wait_until(lambda: gathered, "the first one waits")
        leaving_id = ctx.scheduler.run_after(0, leave_something, what="leave_a_task")
        wait_until(lambda: record(leaving_id).state == State.SUCCESS, "the other one has ended")
        loops[0].call_soon_threadsafe(gathered[0].set)
        wait_until(lambda: record(waiting_id).state != State.IN_PROGRESS, "the waiting one has ended")

    assert record(waiting_id).decoded_result() == "went on"
    assert events == ["task has ended"]


@action
async def share_a_task(ctx: Context) -> None:
    kept.append(asyncio.create_task(serve_everybody(), context=contextvars.Context()))


async def serve_everybody() -> None:
    gathered.append(asyncio.Event())
    await gathered[-1].wait()
    events.append("served")


@action
async def use_a_shared_task(ctx: Context) -> None:
    gathered[-1].set()
    await kept[-1]


@pytest.mark.once
@pytest.mark.usefixtures("_nothing_has_happened")
def test_task_with_a_context_of_its_own_is_shared_by_actions(execute_due):
    ctx.scheduler.run_after(0, share_a_task)
    function_id = ctx.scheduler.run_after(0, use_a_shared_task)

    execute_due()

    assert record(function_id).state == State.SUCCESS
    assert events == ["served"]


async def refuse_to_end() -> None:
    while not events:
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            continue


async def leave_a_task_that_refuses() -> None:
    kept.append(asyncio.create_task(refuse_to_end()))
    await asyncio.sleep(0)


async def leave_a_busy_thread() -> None:
    works = asyncio.Event()
    loop = asyncio.get_running_loop()

    def work_until_told() -> None:
        loop.call_soon_threadsafe(works.set)
        wait_until(lambda: bool(events), "it was told to end")

    kept.append(asyncio.create_task(sync_to_async(work_until_told)()))
    await works.wait()


BODIES |= {each.__name__: each for each in (leave_a_task_that_refuses, leave_a_busy_thread)}


@pytest.mark.once
@pytest.mark.usefixtures("_nothing_has_happened")
@pytest.mark.parametrize("what", ["leave_a_task_that_refuses", "leave_a_busy_thread"])
def test_action_ends_without_what_refuses_to_end(execute_due, monkeypatch, caplog, what):
    monkeypatch.setattr(event_loop, "CLEAN_UP_TIMEOUT", 0.1)
    function_id = ctx.scheduler.run_after(0, leave_something, what=what)
    next_id = ctx.scheduler.run_after(0, note_async, label="next")

    execute_due()

    assert [record(each).state for each in (function_id, next_id)] == [State.SUCCESS] * 2
    (said,) = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert said.startswith(f"tests:leave_something {function_id}: ")
    events.append("end now")


async def set_everything_on_the_loop() -> None:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.set_task_factory(lambda loop, code, **options: asyncio.Task(code, loop=loop, **options))
    loop.set_exception_handler(lambda *args: None)
    loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="ThreadPoolExecutor of a body"))


BODIES |= {each.__name__: each for each in (set_everything_on_the_loop,)}


@action
async def look_at_the_loop(ctx: Context) -> list[Any]:
    loop = asyncio.get_running_loop()
    name = await asyncio.to_thread(lambda: threading.current_thread().name)
    await leave_a_task()
    return [loop.get_debug(), loop.get_exception_handler(), name.split("_")[0]]


@pytest.mark.once
@pytest.mark.usefixtures("_nothing_has_happened")
def test_what_a_body_sets_on_the_loop_ends_with_it(execute_due):
    ctx.scheduler.run_after(0, leave_something, what="set_everything_on_the_loop")
    function_id = ctx.scheduler.run_after(0, look_at_the_loop)

    execute_due()

    assert record(function_id).decoded_result() == [False, None, "asyncio"]
    assert events == ["task has ended"]


def leave_autocommit_off(label: str) -> None:
    transaction.set_autocommit(False)
    Entry.objects.create(label=label)


def leave_a_block_open(label: str) -> None:
    transaction.atomic().__enter__()
    Entry.objects.create(label=label)


def begin_by_sql(label: str) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute("BEGIN")
    Entry.objects.create(label=label)


def leave_rows_unread(label: str) -> None:
    """With SQLite, its lock too."""
    leave_a_block_open(label)
    cursor = connections["default"].cursor()
    cursor.execute("SELECT label FROM tests_entry UNION ALL SELECT 'another one'")
    cursor.fetchone()
    kept.append(cursor)


def wrap_statements(label: str) -> None:
    connections["default"].execute_wrappers.append(refuse_statement)


def refuse_statement(*args: Any) -> None:
    raise ValueError("left")


def lose_the_connection(label: str) -> None:
    connections["default"].ensure_connection()
    connections["default"].connection.close()


LEFT_IN_A_THREAD: dict[str, Any] = {
    each.__name__: each
    for each in [
        leave_autocommit_off,
        leave_a_block_open,
        begin_by_sql,
        leave_rows_unread,
        wrap_statements,
        lose_the_connection,
    ]
}


@action
async def leave_in_shared_threads(ctx: Context, *, what: str) -> None:
    """In all that there are."""
    barrier = threading.Barrier(3)

    def leave(number: int) -> None:
        barrier.wait(20)
        if number == 0 or connections["default"].vendor != "sqlite":  # which has one writer
            LEFT_IN_A_THREAD[what](f"left {number}")

    await asyncio.gather(
        asyncio.to_thread(leave, 0),
        sync_to_async(leave, thread_sensitive=False)(1),
        asyncio.get_running_loop().run_in_executor(None, leave, 2),
    )


@action
async def use_shared_threads(ctx: Context) -> None:
    for number in range(6):
        await asyncio.to_thread(Entry.objects.create, label=f"next {number}")


@action
async def leave_in_its_own_thread(ctx: Context, *, what: str) -> None:
    await sync_to_async(LEFT_IN_A_THREAD[what])("left")


@pytest.mark.usefixtures("_nothing_has_happened")
@pytest.mark.parametrize("what", LEFT_IN_A_THREAD)
@pytest.mark.parametrize("leave", [leave_in_shared_threads, leave_in_its_own_thread])
def test_what_is_left_on_connections_of_threads_of_an_async_action_ends_with_them(execute_due, leave, what):
    ctx.scheduler.run_after(0, leave, what=what)
    function_id = ctx.scheduler.run_after(0, use_shared_threads)

    execute_due()

    assert record(function_id).state == State.SUCCESS
    labels = sorted(Entry.objects.values_list("label", flat=True))
    assert labels == [f"next {number}" for number in range(6)]
