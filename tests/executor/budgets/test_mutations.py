"""A mutation that takes longer than it may ends, leaves nothing, and says so, wherever it is at that moment."""

import itertools
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import override_settings

from django_scheduler import Context, ctx, mutation
from django_scheduler.databases import database_for
from django_scheduler.errors import TransientError
from django_scheduler.models import Failure, ScheduledFunction, State
from tests.functions import write
from tests.models import Entry
from tests.support.gates import Gate
from tests.support.in_process import executing
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

hooks: list[str] = []


def loop_in_python() -> None:
    while True:
        pass


def wait_in_a_statement() -> None:
    with connection.cursor() as cursor:
        match connection.vendor:
            case "postgresql":
                cursor.execute("SELECT pg_sleep(100)")
            case "mysql":
                cursor.execute("SELECT SLEEP(100)")
            case "sqlite":
                cursor.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n")
    loop_in_python()  # MariaDB's SLEEP returns when it is stopped


def write_without_end() -> None:
    while True:
        with transaction.atomic():
            Entry.objects.create(label="again and again")
            Entry.objects.filter(label="again and again").count()


def swallow_exceptions() -> None:
    try:
        wait_in_a_statement()
    except Exception:
        loop_in_python()


def swallow_everything_and_return() -> None:
    with suppress(BaseException):
        loop_in_python()


def swallow_everything_three_times() -> None:
    for _ in range(3):
        swallow_everything_and_return()


def swallow_what_the_database_says_and_return() -> None:
    with suppress(BaseException):
        wait_in_a_statement()


def raise_something_else() -> None:
    try:
        loop_in_python()
    except BaseException as error:
        raise ValueError("a better name for it") from error


def ask_for_a_retry() -> None:
    try:
        loop_in_python()
    except BaseException as error:
        raise TransientError("again, please") from error


class TellsNothing:
    """A result whose ``repr`` does not return."""

    def __repr__(self) -> str:
        loop_in_python()
        raise AssertionError


def return_what_tells_nothing() -> object:
    return TellsNothing()


WAYS: dict[str, Callable[[], object]] = {
    way.__name__: way
    for way in [
        loop_in_python,
        wait_in_a_statement,
        write_without_end,
        swallow_exceptions,
        swallow_everything_and_return,
        swallow_everything_three_times,
        swallow_what_the_database_says_and_return,
        raise_something_else,
        ask_for_a_retry,
        return_what_tells_nothing,
    ]
}


@mutation(timeout=0.2)
def take_too_long(ctx: Context, *, way: str) -> object:
    Entry.objects.create(label="before")
    ctx.scheduler.run_after(0, write, label="child")
    transaction.on_commit(lambda: hooks.append(way))
    return WAYS[way]()


# An exception that arrives in a __del__ is lost, and is raised again.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("way", WAYS)
def test_mutation_that_takes_too_long_is_rolled_back_and_recorded(execute_due, way):
    hooks.clear()
    function_id = ctx.scheduler.run_after(0, take_too_long, way=way)
    next_id = ctx.scheduler.run_after(0, write, label="next")

    execute_due()

    row = record(function_id)
    assert (row.state, row.failure, row.attempts) == (State.FAILED, Failure.TIMEOUT, 1)
    assert row.error == "TimedOut: its body ran for longer than the 0.2 s that it may."
    assert way in row.traceback or "swallow" in way or way == "return_what_tells_nothing"
    assert row.started_time
    assert row.completed_time
    assert record(next_id).state == State.SUCCESS
    assert [entry.label for entry in Entry.objects.all()] == ["next"]
    assert hooks == []


@mutation
def loop_for_ever(ctx: Context) -> None:
    loop_in_python()


def test_setting_holds_for_mutations_that_say_nothing(execute_due):
    with override_settings(DJANGO_SCHEDULER={"MUTATION_TIMEOUT": timedelta(seconds=0.2)}):
        function_id = ctx.scheduler.run_after(0, loop_for_ever)
        execute_due()

    assert record(function_id).failure == Failure.TIMEOUT


@mutation(timeout=None)
def tell_deadline_without_timeout(ctx: Context) -> Any:
    return ctx.deadline


@mutation(timeout=timedelta(minutes=5))
def tell_deadline(ctx: Context) -> Any:
    assert not ctx.canceled
    return ctx.deadline


@mutation
def tell_deadline_of_settings(ctx: Context) -> Any:
    return ctx.deadline


@pytest.mark.parametrize(
    ("function", "timeout"),
    [(tell_deadline, 300), (tell_deadline_of_settings, 60), (tell_deadline_without_timeout, None)],
)
def test_deadline_is_when_the_time_is_up(execute_due, function, timeout):
    function_id = ctx.scheduler.run_after(0, function)

    execute_due()

    row = record(function_id)
    deadline = row.decoded_result()
    if timeout is None:
        assert deadline is None
    else:
        assert row.completed_time
        assert abs((deadline - row.completed_time).total_seconds() - timeout) < 30  # type: ignore[operator]


deadlines: list[Any] = []


@mutation(timeout=timedelta(minutes=5))
def be_retried(ctx: Context) -> None:
    deadlines.append(ctx.deadline)
    if len(deadlines) < 3:
        raise TransientError("not yet")


def test_each_retry_has_a_budget_of_its_own(execute_due):
    deadlines.clear()
    with override_settings(DJANGO_SCHEDULER={"BACKOFF_INITIAL": timedelta(milliseconds=1)}):
        function_id = ctx.scheduler.run_after(0, be_retried)
        wait_until(lambda: (execute_due(), record(function_id).state == State.SUCCESS)[1], "it succeeded")

    assert deadlines[0] < deadlines[1] < deadlines[2]


left: list[threading.Thread] = []
told: list[Any] = []


@mutation(timeout=1.0)
def leave_a_thread_and_a_hook(ctx: Context) -> None:
    left.append(threading.Thread(target=wait_until, args=[lambda: ctx.canceled, "its time is up"]))
    left[0].start()
    transaction.on_commit(lambda: told.append(ctx.deadline))


def test_what_outlives_the_body_still_learns_when_the_time_is_up(execute_due):
    left.clear()
    told.clear()
    ctx.scheduler.run_after(0, leave_a_thread_and_a_hook)

    execute_due()

    left[0].join(timeout=5)
    assert not left[0].is_alive()
    assert None not in told


@mutation(timeout=0.2)
def hang_at_gate(ctx: Context, *, gate: str) -> None:
    """Hangs in C code, where no exception arrives, and then tries to go on."""
    Entry.objects.create(label="before")
    Gate(gate).pass_through()
    Entry.objects.create(label="after")


@mutation(timeout=0.2)
def hang_and_swallow(ctx: Context, *, gate: str) -> str:
    with suppress(BaseException):
        Entry.objects.create(label="before")
        Gate(gate).pass_through()
        Entry.objects.create(label="after")
    with suppress(BaseException):
        Entry.objects.create(label="after all")
    return "nothing has happened"


@pytest.mark.parametrize("function", [hang_at_gate, hang_and_swallow])
def test_mutation_that_hangs_loses_its_locks_and_its_late_end_is_dropped(short_grace, gate, session, caplog, function):
    function_id = ctx.scheduler.run_after(0, function, gate=gate.path)
    with executing(concurrency=2):
        gate.wait_for_arrivals()
        next_id = ctx.scheduler.run_after(0, write, label="next")

        wait_until(lambda: record(function_id).state == State.FAILED, "its timeout was recorded")
        wait_until(lambda: record(next_id).state == State.SUCCESS, "another one succeeded meanwhile")
        session.execute("UPDATE django_scheduler_scheduledfunction SET queue = 'touched' WHERE id = %s", function_id)
        gate.open()
        wait_until(lambda: "is dropped" in caplog.text, "its late end was dropped")

    row = record(function_id)
    assert (row.failure, row.queue) == (Failure.TIMEOUT, "touched")
    assert "it is now failed (timeout)" in caplog.text
    assert "It does not react" in row.traceback
    assert "pass_through" in row.traceback  # where its thread is
    assert "does not react" in caplog.text
    assert [entry.label for entry in Entry.objects.all()] == ["next"]


def test_log_says_of_which_function_a_statement_could_not_be_stopped(short_grace, gate, caplog, monkeypatch):
    def refuse(database, session):
        raise OSError("nobody answers")

    monkeypatch.setattr(type(database_for("default")), "interrupt_statement", refuse)
    function_id = ctx.scheduler.run_after(0, hang_at_gate, gate=gate.path)
    with executing(concurrency=1):
        gate.wait_for_arrivals()
        wait_until(lambda: record(function_id).state == State.FAILED, "its timeout was recorded")
        gate.open()
        wait_until(lambda: "is dropped" in caplog.text, "its late end was dropped")

    refused = [each for each in caplog.records if "nobody answers" in each.getMessage()]
    message = (
        f"{hang_at_gate.name} {function_id}: a statement of its body could not be stopped although its time is up."
    )
    assert refused[0].getMessage().startswith(message)
    assert {each.function_id for each in refused} == {function_id}


def test_executor_goes_on_with_the_thread_that_has_returned(short_grace, gate, caplog):
    function_id = ctx.scheduler.run_after(0, hang_at_gate, gate=gate.path)
    with executing(concurrency=1):
        wait_until(lambda: record(function_id).state == State.FAILED, "its timeout was recorded")
        next_id = ctx.scheduler.run_after(0, write, label="next")
        gate.open()
        wait_until(lambda: record(next_id).state == State.SUCCESS, "the next one succeeded")


@mutation(timeout=0.5)
def wait_for_a_lock(ctx: Context, *, function_id: int) -> None:
    Entry.objects.create(label="before")
    ScheduledFunction.objects.filter(pk=function_id).update(queue="taken")


@pytest.mark.only_on("postgresql", "mysql")
def test_waiting_for_somebody_elses_lock_counts_and_ends(execute_due, session):
    held_id = ctx.scheduler.run_after(timedelta(hours=1), write, label="held")
    session.open_transaction()
    session.execute("UPDATE django_scheduler_scheduledfunction SET queue = 'mine' WHERE id = %s", held_id)
    function_id = ctx.scheduler.run_after(0, wait_for_a_lock, function_id=held_id)

    execute_due()

    assert record(function_id).failure == Failure.TIMEOUT
    assert not Entry.objects.exists()


numbers = itertools.count()


@mutation(timeout=0.02)
def end_when_the_time_is_up(ctx: Context) -> None:
    """Ends a little before, exactly when, or a little after its time is up."""
    Entry.objects.create(label=str(ctx.function_id), function_id=ctx.function_id)
    patience = 0.015 + next(numbers) % 20 / 2_000
    threading.Event().wait(patience)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # as above
def test_time_that_is_up_at_the_very_end_is_either_success_or_timeout_and_harms_nobody_else(transactional_db):
    ids = ctx.scheduler.run_after_many(0, end_when_the_time_is_up, [{}] * 60)
    with executing(concurrency=2):
        unfinished = ScheduledFunction.objects.filter(state=State.PENDING)
        wait_until(lambda: not unfinished.exists(), "all of them ended", timeout=50)

    succeeded = set(ScheduledFunction.objects.filter(state=State.SUCCESS).values_list("pk", flat=True))
    timed_out = set(ScheduledFunction.objects.filter(failure=Failure.TIMEOUT).values_list("pk", flat=True))
    assert succeeded | timed_out == set(ids)
    assert set(Entry.objects.values_list("function_id", flat=True)) == succeeded
