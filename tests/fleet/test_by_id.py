"""Execution by id: whoever is sent the id of a function executes it, if there is anything to do."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import DatabaseError, connections, transaction
from django.utils import timezone
from freezegun import freeze_time

from django_scheduler import Backoff, Context, Retry, action, ctx, mutation
from django_scheduler.databases import database_for
from django_scheduler.errors import SchedulerError, TransientError
from django_scheduler.executor.budget import watchdog
from django_scheduler.executor.by_id import execute
from django_scheduler.models import Executor, Failure, ScheduledFunction, State
from django_scheduler.record import transitions
from django_scheduler.scheduling import enqueue
from django_scheduler.scheduling.interventions import reschedule, run_now
from django_scheduler.status import status
from tests.functions import note, note_and_raise, note_async, write, write_and_raise, write_then_schedule
from tests.models import Entry
from tests.support.records import record
from tests.support.statements import failing, statements_through


@pytest.mark.parametrize("function", [write, note, note_async])
def test_function_is_executed_once_however_often_its_id_is_sent(function):
    function_id = ctx.scheduler.run_after(0, function, label="once")

    assert [execute(function_id) for _ in range(3)] == [True, False, False]

    assert record(function_id).state == State.SUCCESS
    assert record(function_id).attempts == 1
    assert Entry.objects.count() == 1


def test_process_that_only_executes_what_it_is_sent_serves_no_queue():
    execute(ctx.scheduler.run_after(0, write, label="sent"))
    ctx.scheduler.run_after(0, write, label="due")

    now = status()

    assert [(each.is_alive, each.serves("default")) for each in now.executors] == [(True, False)]
    assert [problem.code for problem in now.problems] == ["no_executor"]


def test_function_is_executed_once_by_many_at_once():
    ids = [ctx.scheduler.run_after(0, function, label="x") for function in [write, note] * 3]
    begin = threading.Barrier(4)

    def worker():
        begin.wait()
        for function_id in ids:
            execute(function_id)
        connections.close_all()

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert [record(function_id).state for function_id in ids] == [State.SUCCESS] * 6
    assert [entry.function_id for entry in Entry.objects.order_by("function_id")] == ids


def test_function_that_is_not_due_canceled_or_unknown_is_not_executed():
    later = ctx.scheduler.run_after(timedelta(hours=1), write, label="later")
    canceled = ctx.scheduler.run_after(0, write, label="canceled")
    ctx.scheduler.cancel(canceled)

    assert [execute(function_id) for function_id in [later, canceled, 987654]] == [False, False, False]

    assert record(later).state == State.PENDING
    assert not Entry.objects.exists()


def test_what_is_no_id_is_refused_and_what_can_be_none_is_not_executed(transactional_db):
    function_id = ctx.scheduler.run_after(0, write, label="x")

    wrongs: list[Any] = [str(function_id), f"{function_id} or so", float(function_id), [function_id], True, None]
    for wrong in wrongs:
        with pytest.raises(TypeError, match="The id of a scheduled function is an int, not "):
            execute(wrong)
    assert [execute(each) for each in [0, -1, 2**63, 2**100]] == [False] * 4

    assert record(function_id).state == State.PENDING


@pytest.mark.parametrize("seconds", [1, 30, 59, 61, 700])
def test_function_that_was_not_handed_over_is_not_executed_before_it_is_due(seconds, python_clock):
    with frozen_time() as clock:
        function_id = ctx.scheduler.run_after(timedelta(seconds=seconds), write, label="later")
        clock.tick(seconds - 0.5)
        assert not execute(function_id)
        clock.tick(0.5)
        assert execute(function_id)


class FleetThatForgets:
    """Is handed over to, and sends nothing."""

    def time_to_begin(self) -> timedelta:
        return timedelta(minutes=1)

    def hand_over_after_commit(self, *args: object) -> None: ...


#: The driver's clock goes on: a jump of time would end the attempt of another thread to connect.
frozen_time = partial(freeze_time, ignore=["psycopg"])


@pytest.fixture
def hand_over() -> Iterator[Callable[..., int]]:
    """Schedules a function and hands it over, when it is scheduled or once it is due."""
    database = database_for("default")

    def schedule(when: str, function: Any, **arguments: Any) -> int:
        enqueue.hand_over_to(FleetThatForgets() if when == "scheduled" else None)
        function_id = ctx.scheduler.run_after(0, function, **arguments)
        if when == "due":
            assert transitions.HAND_OVER.apply(database, function_id, {"due_time": timedelta(minutes=10)})
        assert record(function_id).due_time > timezone.now() + timedelta(seconds=50)
        return function_id

    yield schedule
    enqueue.hand_over_to(None)


HANDED_OVER = pytest.mark.parametrize("when", ["scheduled", "due"])


@HANDED_OVER
@pytest.mark.parametrize("function", [write, note])
def test_function_that_was_handed_over_is_executed_although_it_is_due_again_only_later(when, function, hand_over):
    function_id = hand_over(when, function, label="x")
    assert execute(function_id)
    assert record(function_id).state == State.SUCCESS


@HANDED_OVER
@pytest.mark.parametrize("moved_to", [timedelta(seconds=1), timedelta(seconds=30), timedelta(minutes=10)])
def test_function_that_is_put_off_after_it_was_handed_over_waits_for_its_new_time(
    when, moved_to, hand_over, python_clock
):
    with frozen_time() as clock:
        function_id = hand_over(when, write, label="x")
        reschedule("default", [function_id], timezone.now() + moved_to)
        assert not execute(function_id)
        clock.tick(moved_to)
        assert execute(function_id)


def test_function_that_was_moved_to_now_is_executed(hand_over):
    function_id = hand_over("due", write, label="x")
    run_now("default", [function_id])
    assert execute(function_id)


@mutation
def try_again_later(ctx: Context) -> None:
    raise TransientError("not yet")


@HANDED_OVER
def test_function_that_met_a_transient_error_waits_for_its_retry_however_often_its_id_is_sent(
    when, hand_over, monkeypatch
):
    monkeypatch.setattr("django_scheduler.executor.repetition.backoff", lambda attempts: timedelta(seconds=20))
    function_id = hand_over(when, try_again_later)
    assert [execute(function_id) for _ in range(3)] == [True, False, False]
    assert record(function_id).attempts == 1


@action(retry=Retry(3, backoff=Backoff(initial=0)))
def note_third_attempt(ctx: Context) -> int | None:
    Entry.objects.create(label="attempt", function_id=ctx.function_id)
    if ctx.attempt != 3:
        raise ValueError("not yet")
    return ctx.attempt


def test_attempts_of_an_action_that_is_repeated_are_executed_as_often_as_it_is_sent(hand_over):
    function_id = hand_over("due", note_third_attempt)

    assert execute(function_id)
    assert (record(function_id).state, record(function_id).handed_over) == (State.PENDING, False)
    assert [execute(function_id) for _ in range(3)] == [True, True, False]

    row = record(function_id)
    assert (row.state, row.attempts, row.failures, Entry.objects.count()) == (State.SUCCESS, 3, 2, 3)


def test_function_whose_process_has_died_waits_for_its_retry(hand_over):
    function_id = hand_over("due", write, label="x")
    changes = {"crashes": 1, "attempts": 1, "due_time": timedelta(seconds=20), "error": "it has died", "history": []}
    assert transitions.COUNT_CRASH.apply(database_for("default"), function_id, changes, seen={"crashes": 0})
    assert not execute(function_id)


@pytest.mark.parametrize(("function", "entries"), [(write_and_raise, 0), (note_and_raise, 1)])
def test_what_a_function_raises_is_on_record_and_not_raised(function, entries):
    function_id = ctx.scheduler.run_after(0, function, label="raises")

    assert execute(function_id)

    row = record(function_id)
    assert (row.state, row.failure) == (State.FAILED, Failure.ERROR)
    assert Entry.objects.count() == entries


@mutation(timeout=0.2)
def ask_without_end(ctx: Context) -> None:
    while True:
        Entry.objects.count()


def test_mutation_that_takes_too_long_is_recorded_and_its_session_is_closed():
    function_id = ctx.scheduler.run_after(0, ask_without_end)
    session = connections["default"]

    with session.execute_wrapper(lambda execute, *arguments: execute(*arguments)):
        assert execute(function_id)
    assert session.connection is None

    row = record(function_id)
    assert (row.state, row.failure) == (State.FAILED, Failure.TIMEOUT)
    session.close()  # by whoever has kept it


@action
def execute_another(ctx: Context, *, function_id: int) -> None:
    assert execute(function_id)


def test_action_may_execute_another_function_as_a_fleet_does_that_executes_at_once():
    inner_id = ctx.scheduler.run_after(0, write, label="inner")
    outer_id = ctx.scheduler.run_after(0, execute_another, function_id=inner_id)

    assert execute(outer_id)

    assert [record(each).state for each in (inner_id, outer_id)] == [State.SUCCESS] * 2
    assert Entry.objects.get().label == "inner"


@pytest.mark.usefixtures("no_grace")
def test_function_that_is_gone_is_missing():
    function_id = ctx.scheduler.run_after(0, write, label="gone")
    ScheduledFunction.objects.update(name="tests:gone")

    assert execute(function_id)

    assert record(function_id).failure == Failure.MISSING


def test_function_executes_as_in_an_executor():
    function_id = ctx.scheduler.run_after(0, write_then_schedule, label="parent")

    execute(function_id)

    assert ScheduledFunction.objects.get(parent_id=function_id).state == State.PENDING


def test_time_budgets_are_kept_in_a_process_that_was_forked_from_one_that_has_kept_some():
    watchdog()
    if not (child := os.fork()):
        watchdog().watch(Mock(alarm_time=0.0, alarm=lambda: os._exit(7)))
        time.sleep(60)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_process_is_on_record_as_an_executor():
    function_id = ctx.scheduler.run_after(0, note, label="x")

    execute(function_id)

    executor = Executor.objects.get()
    assert executor.process_id == os.getpid()
    assert record(function_id).executor == executor.name


def test_it_is_refused_where_the_caller_commits_by_hand():
    function_id = ctx.scheduler.run_after(0, write, label="x")
    transaction.set_autocommit(False)
    try:
        Entry.objects.create(label="not yet committed")
        with pytest.raises(SchedulerError, match="inside of a transaction"):
            execute(function_id)
        transaction.commit()
    finally:
        transaction.set_autocommit(True)

    assert Entry.objects.get().label == "not yet committed"


def test_it_is_refused_inside_of_a_transaction():
    function_id = ctx.scheduler.run_after(0, write, label="x")

    with transaction.atomic(), pytest.raises(SchedulerError, match="inside of a transaction"):
        execute(function_id)

    assert record(function_id).state == State.PENDING


@pytest.mark.parametrize("function", [write, note, note_async])
def test_it_may_be_called_by_synchronous_code_that_async_code_waits_for(function):
    function_id = ctx.scheduler.run_after(0, function, label="x")

    async def work():
        return await sync_to_async(execute)(function_id)

    assert async_to_sync(work)()
    assert record(function_id).state == State.SUCCESS


def test_error_before_anything_has_begun_is_raised():
    function_id = ctx.scheduler.run_after(0, write, label="x")

    this_thread = threading.get_ident()  # beside it, the recovery of lost actions asks too

    def claims(sql, params):
        return threading.get_ident() == this_thread and "django_scheduler_scheduledfunction" in sql

    with failing(claims, DatabaseError("not now"), times=1), pytest.raises(DatabaseError, match="not now"):
        execute(function_id)

    assert execute(function_id)


class ToldToStop(SystemExit):
    pass


@contextmanager
def signal_at_record() -> Iterator[list[None]]:
    """Have the first statement that records an end of this thread's functions be interrupted by a signal."""
    signals: list[None] = []

    def stop(*_: object) -> None:
        raise ToldToStop

    def interrupt(execute: Any, sql: str, params: Any, *arguments: Any) -> Any:
        is_end = any(each in (State.SUCCESS, State.FAILED) for each in params or ())
        if sql.startswith("UPDATE django_scheduler_scheduledfunction") and is_end and not signals:
            signals.append(None)
            signal.raise_signal(signal.SIGTERM)
        return execute(sql, params, *arguments)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with statements_through(interrupt):
            yield signals
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("function", "state", "attempts"),
    [
        (write, State.PENDING, 1),
        (write_and_raise, State.FAILED, 1),
        (note, State.SUCCESS, 1),
        (note_and_raise, State.FAILED, 1),
    ],
)
def test_signal_that_arrives_while_an_end_is_recorded_goes_on_and_loses_no_end(function, state, attempts):
    function_id = ctx.scheduler.run_after(0, function, label="x")

    with signal_at_record() as signals, pytest.raises(ToldToStop):
        execute(function_id)

    assert len(signals) == 1
    row = record(function_id)
    assert (row.state, row.attempts) == (state, attempts)
    if function is write:  # it has left nothing, and runs again
        assert not Entry.objects.exists()
        ScheduledFunction.objects.filter(pk=function_id).update(due_time=row.scheduled_time)
        assert execute(function_id)
        assert record(function_id).state == State.SUCCESS
        assert Entry.objects.count() == 1
