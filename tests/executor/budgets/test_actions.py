"""An action that takes longer than it may is told so, or canceled, and recorded as timed out."""

import asyncio
import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from django_scheduler import Context, action, ctx
from django_scheduler.executor import body
from django_scheduler.models import Failure, State
from tests.executor.budgets.clock import time_begins
from tests.functions import note, note_async
from tests.models import Entry
from tests.support.gates import Gate
from tests.support.in_process import executing
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@action(timeout=0.2)
def work_until_canceled(ctx: Context) -> str:
    assert ctx.deadline
    pause = threading.Event()
    while not ctx.canceled:
        pause.wait(0.01)
    assert timezone.now() >= ctx.deadline - timedelta(seconds=0.1)
    Entry.objects.create(label="tidied up")
    return "its result"


def test_sync_action_learns_from_ctx_that_its_time_is_up(execute_due):
    function_id = ctx.scheduler.run_after(0, work_until_canceled)

    execute_due()

    row = record(function_id)
    assert (row.state, row.failure, row.result) == (State.FAILED, Failure.TIMEOUT, None)
    assert row.error == "TimedOut: its body ran for longer than the 0.2 s that it may."
    assert [entry.label for entry in Entry.objects.all()] == ["tidied up"]


@action(timeout=0.2)
async def wait_for_ever(ctx: Context) -> None:
    time_begins()
    try:
        await asyncio.Event().wait()
    finally:
        await Entry.objects.acreate(label="tidied up")


@action(timeout=0.2)
async def wait_and_swallow(ctx: Context) -> str:
    time_begins()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await Entry.objects.acreate(label="tidied up")
    return "its result"


@pytest.mark.usefixtures("time_begins_when_told")
@pytest.mark.parametrize("function", [wait_for_ever, wait_and_swallow])
def test_async_action_is_canceled_and_may_tidy_up(execute_due, function):
    function_id = ctx.scheduler.run_after(0, function)
    next_id = ctx.scheduler.run_after(0, note_async, label="next")

    execute_due()

    row = record(function_id)
    assert (row.state, row.failure, row.result) == (State.FAILED, Failure.TIMEOUT, None)
    assert record(next_id).state == State.SUCCESS
    assert [entry.label for entry in Entry.objects.all()] == ["tidied up", "next"]


@action(timeout=0.2)
def do_not_end(ctx: Context, *, gate: str) -> str:
    Gate(gate).pass_through()
    return "too late"


@action(timeout=0.2)
async def do_not_end_async(ctx: Context, *, gate: str) -> str:
    passing = asyncio.ensure_future(asyncio.to_thread(Gate(gate).pass_through))
    while not passing.done():
        try:
            await asyncio.shield(passing)
        except asyncio.CancelledError:
            continue
    return "too late"


@pytest.mark.parametrize("function", [do_not_end, do_not_end_async])
def test_action_that_does_not_end_is_recorded_all_the_same_and_its_late_end_is_dropped(
    short_grace, gate, caplog, function
):
    function_id = ctx.scheduler.run_after(0, function, gate=gate.path)
    with executing(concurrency=2):
        gate.wait_for_arrivals()
        wait_until(lambda: record(function_id).state == State.FAILED, "its timeout was recorded")
        next_id = ctx.scheduler.run_after(0, note, label="next")
        wait_until(lambda: record(next_id).state == State.SUCCESS, "another one succeeded meanwhile")
        gate.open()
        wait_until(lambda: "is dropped" in caplog.text, "its late end was dropped")

    row = record(function_id)
    assert (row.failure, row.result) == (Failure.TIMEOUT, None)
    assert "does not end" in caplog.text
    assert ("pass_through" in row.traceback) is not function.is_async  # where its thread is


@action
def work_until_canceled_by_somebody(ctx: Context, *, gate: str) -> None:
    Gate(gate).arrive()
    pause = threading.Event()
    while not ctx.canceled:
        pause.wait(0.01)
    Gate(gate).depart()


@action
async def work_until_canceled_by_somebody_async(ctx: Context, *, gate: str) -> None:
    Gate(gate).arrive()
    while not await ctx.acanceled():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    Gate(gate).depart()


@pytest.mark.parametrize("function", [work_until_canceled_by_somebody, work_until_canceled_by_somebody_async])
def test_action_learns_from_ctx_that_it_was_canceled(monkeypatch, gate, function):
    monkeypatch.setattr(body, "CANCELED_INTERVAL", 0.05)
    function_id = ctx.scheduler.run_after(0, function, gate=gate.path)
    with executing(concurrency=1):
        gate.wait_for_arrivals()
        ctx.scheduler.cancel(function_id)
        gate.wait_for_departures()

    assert record(function_id).state == State.CANCELED


@action
def tell_deadline_of_action(ctx: Context) -> list[object]:
    return [ctx.deadline, ctx.canceled]


@action(timeout=timedelta(minutes=5))
def tell_whether_canceled(ctx: Context) -> bool:
    return ctx.canceled


def test_action_that_has_time_left_is_not_canceled(execute_due):
    function_id = ctx.scheduler.run_after(0, tell_whether_canceled)

    execute_due()

    assert record(function_id).decoded_result() is False


def test_action_may_take_any_time_unless_it_says_otherwise(execute_due):
    function_id = ctx.scheduler.run_after(0, tell_deadline_of_action)

    execute_due()

    assert record(function_id).decoded_result() == [None, False]


def test_there_is_no_deadline_where_no_scheduled_function_is_executing():
    assert ctx.deadline is None
    assert not ctx.canceled
    assert ctx.run_action(work_directly) == [None, False]


@action(timeout=0.001)
def work_directly(ctx: Context) -> list[object]:
    return [ctx.deadline, ctx.canceled]
