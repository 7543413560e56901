"""Nothing of one function is left to the next one that the same thread executes."""

import asyncio
import decimal
import gc
import sys
import threading
import zoneinfo
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.db.utils import ConnectionHandler
from django.urls import get_script_prefix, get_urlconf, set_script_prefix, set_urlconf
from django.utils import timezone, translation

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.databases import database_for
from django_scheduler.executor.body import FunctionExecution, in_isolation
from django_scheduler.executor.session import executor_session, tidy_connections
from django_scheduler.models import State
from tests.functions import note, write
from tests.models import Entry
from tests.support.records import record
from tests.support.waiting import wait_until

variable: ContextVar[str] = ContextVar("tests.variable", default="")
own_loop = asyncio.SelectorEventLoop()
own_loop.close()

#: What a body has seen of earlier ones, by where it has looked.
seen: list[str] = []


def leave_everything() -> None:
    decimal.getcontext().prec = 3
    decimal.getcontext().traps[decimal.DivisionByZero] = False
    translation.activate("de")
    timezone.activate(zoneinfo.ZoneInfo("Asia/Tokyo"))
    set_urlconf("tests.http.urls")
    set_script_prefix("/left/")
    variable.set("left")
    asyncio.set_event_loop(own_loop)


def current_event_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_event_loop()
    except RuntimeError:
        return None


def look(where: str) -> None:
    """Note what is left of another body."""
    context = decimal.getcontext()
    left = {
        "precision": context.prec == 3,
        "traps": not context.traps[decimal.DivisionByZero],
        "language": translation.get_language() != "en",
        "time zone": timezone.get_current_timezone_name() != "UTC",
        "urlconf": get_urlconf() is not None,
        "script prefix": get_script_prefix() != "/",
        "variable": variable.get() != "",
        "event loop": current_event_loop() is own_loop,
        "error": sys.exc_info()[1] is not None,
    }
    seen.append(where)
    seen.extend(f"{where}: {name}" for name, is_left in left.items() if is_left)


@mutation(alone=True)
def leave_in_a_mutation(ctx: Context) -> None:
    leave_everything()


@mutation
def leave_in_a_group(ctx: Context) -> None:
    leave_everything()


@mutation
def leave_in_a_hook(ctx: Context) -> None:
    transaction.on_commit(leave_everything)


@mutation
def leave_a_running_loop(ctx: Context) -> None:
    asyncio._set_running_loop(own_loop)


@action
def leave_in_an_action(ctx: Context) -> None:
    leave_everything()


@action
async def leave_in_an_async_action(ctx: Context) -> None:
    leave_everything()


@action
async def leave_in_a_shared_thread(ctx: Context) -> None:
    await asyncio.get_running_loop().run_in_executor(None, leave_everything)


@mutation
def look_in_a_group(ctx: Context) -> None:
    look("group")
    transaction.on_commit(lambda: look("hook"))


@mutation(alone=True)
def look_in_a_mutation(ctx: Context) -> None:
    look("mutation")


@action
def look_in_an_action(ctx: Context) -> None:
    look("action")


@action
async def look_in_an_async_action(ctx: Context) -> None:
    look("async action")
    for _ in range(40):  # each of them has had a call
        await asyncio.get_running_loop().run_in_executor(None, look, "shared thread")


LOOKS = [look_in_a_group, look_in_a_group, look_in_a_mutation, look_in_an_action, look_in_an_async_action]
LEAVE = [
    leave_in_a_mutation,
    leave_in_a_group,
    leave_in_a_hook,
    leave_a_running_loop,
    leave_in_an_action,
    leave_in_an_async_action,
    leave_in_a_shared_thread,
]


@pytest.mark.once
@pytest.mark.parametrize("leave", LEAVE)
def test_what_a_function_leaves_in_python_reaches_no_other_one(execute_due, backlog, groups, leave):
    """In its context, and in the thread."""
    seen.clear()
    left_id = ctx.scheduler.run_after(0, leave)
    ids = [ctx.scheduler.run_after(0, look) for look in LOOKS]

    execute_due()

    assert [record(each).state for each in (left_id, *ids)] == [State.SUCCESS] * 6
    assert set(seen) == {"group", "hook", "mutation", "action", "async action", "shared thread"}
    if leave in (leave_in_a_group, leave_in_a_hook, leave_a_running_loop):
        assert {left_id, *ids[:2]} <= set(groups[-1])


@action
def leave_a_transaction_open(ctx: Context) -> None:
    transaction.atomic().__enter__()
    Entry.objects.create(label="never committed")


@action
def leave_autocommit_off(ctx: Context) -> None:
    transaction.set_autocommit(False)
    Entry.objects.create(label="never committed")


@action
def leave_a_broken_connection(ctx: Context) -> None:
    connection.ensure_connection()
    connection.connection.close()


@pytest.mark.parametrize("leave", [leave_a_transaction_open, leave_autocommit_off, leave_a_broken_connection])
def test_state_of_the_connection_that_an_action_leaves_behind_does_not_matter(execute_due, leave):
    function_id = ctx.scheduler.run_after(0, leave)
    next_id = ctx.scheduler.run_after(0, write, label="next")

    execute_due()

    assert record(function_id).state == State.SUCCESS
    assert record(next_id).state == State.SUCCESS
    assert [entry.label for entry in Entry.objects.all()] == ["next"]


def let_pass(execute: Any, *args: Any) -> Any:
    return execute(*args)


@mutation
def leave_a_wrapper_in_a_mutation(ctx: Context) -> None:
    connection.execute_wrappers.append(let_pass)


@action
def leave_a_wrapper_in_an_action(ctx: Context) -> None:
    connection.execute_wrappers.append(let_pass)


@action
def leave_a_wrapper_and_connect_again(ctx: Context) -> None:
    connection.execute_wrappers.append(let_pass)
    connection.close()
    Entry.objects.exists()


@action
def connect_again_within_a_wrapper(ctx: Context) -> None:
    with connection.execute_wrapper(let_pass):
        connection.close()
        Entry.objects.exists()


@action
def tell_wrappers(ctx: Context) -> list[str]:
    return [repr(wrapper) for wrapper in connection.execute_wrappers]


@pytest.mark.parametrize(
    "leave",
    [
        leave_a_wrapper_in_a_mutation,
        leave_a_wrapper_in_an_action,
        leave_a_wrapper_and_connect_again,
        connect_again_within_a_wrapper,
    ],
)
def test_wrapper_of_statements_that_a_function_leaves_behind_ends_with_it(execute_due, leave):
    function_id = ctx.scheduler.run_after(0, leave)
    written_id = ctx.scheduler.run_after(0, write, label="next")
    told_id = ctx.scheduler.run_after(0, tell_wrappers)

    execute_due()

    assert [record(each).state for each in (function_id, written_id)] == [State.SUCCESS] * 2
    assert repr(let_pass) not in str(record(told_id).decoded_result())


@pytest.fixture
def other_alias(monkeypatch, tmp_path) -> Iterator[str]:
    databases = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "other.sqlite3"}}
    monkeypatch.setitem(connections.settings, "other", ConnectionHandler(databases).settings["default"])
    yield "other"
    connections["other"].close()
    del connections["other"]


def test_wrapper_around_statements_in_another_database_ends_with_its_block(transactional_db, other_alias):
    with executor_session(database_for("default")):
        for _ in range(3):
            with connections[other_alias].execute_wrapper(let_pass):
                connections[other_alias].connect()  # by itself it may not, in a test
                with connections[other_alias].cursor() as cursor:
                    cursor.execute("SELECT 1")
            tidy_connections("default")
            assert connections[other_alias].execute_wrappers == []


hooks_that_ran: list[str] = []


@action
def leave_a_hook_of_a_transaction_that_is_not_committed(ctx: Context) -> None:
    transaction.set_autocommit(False)
    Entry.objects.create(label="committed")
    transaction.commit()
    Entry.objects.create(label="never committed")
    with transaction.atomic():
        transaction.on_commit(lambda: hooks_that_ran.append("never committed"))


def test_hook_of_a_transaction_that_is_not_committed_never_runs(execute_due):
    hooks_that_ran.clear()
    ctx.scheduler.run_after(0, leave_a_hook_of_a_transaction_that_is_not_committed)
    ctx.scheduler.run_after(0, write, label="next")

    execute_due()

    assert [entry.label for entry in Entry.objects.all()] == ["committed", "next"]
    assert hooks_that_ran == []


@mutation
def start_a_thread(ctx: Context) -> list[Any]:
    told: list[Any] = []
    thread = threading.Thread(target=lambda: told.append(ctx.function_id))
    thread.start()
    thread.join()
    return told


@pytest.mark.once
def test_context_that_a_function_was_given_knows_it_in_another_thread_too(execute_due):
    function_id = ctx.scheduler.run_after(0, start_a_thread)

    execute_due()

    assert record(function_id).decoded_result() == [function_id]


def test_trace_and_profile_functions_that_a_body_sets_end_with_it():
    # Not in executors' threads: with profile functions in several threads, Python 3.11 may never come to an end.
    before = sys.gettrace(), sys.getprofile()

    def leave() -> None:
        sys.settrace(lambda *arguments: None)
        sys.setprofile(lambda *arguments: None)

    in_isolation(leave)

    assert (sys.gettrace(), sys.getprofile()) == before


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def executions() -> list[FunctionExecution]:
    return [each for each in gc.get_objects() if isinstance(each, FunctionExecution)]


@action
async def breathe(ctx: Context, *, label: str) -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize("function", [write, note, breathe])
def test_memory_of_an_execution_does_not_wait_for_the_garbage_collector(execute_due, without_collector, function):
    """In an executor that is busy it would be collected late, and what follows would take new memory."""
    before = executions()
    for _ in range(20):
        ctx.scheduler.run_after(0, function, label="executed")

    execute_due()

    # The thread of the event loop lets go of the last one a moment after the worker has.
    wait_until(lambda: all(each in before for each in executions()), "no execution is left")
