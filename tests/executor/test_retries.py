"""A function that fails is tried again as it declares, and one that asks for it when it asks; no other one is."""

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from django_scheduler import Backoff, Context, Retry, action, ctx, mutation
from django_scheduler.databases import database_for
from django_scheduler.errors import TransientError
from django_scheduler.executor.poller import Until
from django_scheduler.executor.recovery import record_lost
from django_scheduler.models import Failure, ScheduledFunction, ScheduledFunctionId, State
from django_scheduler.signals import attempt_failed, function_finished
from tests.functions import note
from tests.models import Entry
from tests.support.gates import Gate
from tests.support.in_process import executing
from tests.support.records import history, record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = Backoff(initial=0)


class Refused(Exception):
    pass


#: What each body has seen of its attempt, and what they raise, one after the other.
seen: list[tuple[ScheduledFunctionId | None, int | None, str | None]] = []
errors: list[BaseException] = []


@pytest.fixture(autouse=True)
def _nothing_seen():
    seen.clear()
    errors.clear()


def see(ctx: Context) -> str:
    seen.append((ctx.function_id, ctx.attempt, ctx.idempotency_key))
    Entry.objects.create(label=f"attempt {ctx.attempt}", function_id=ctx.function_id)
    if errors:
        raise errors.pop(0)
    return "done"


@action(retry=Retry(3, backoff=AT_ONCE))
def try_to_act(ctx: Context) -> str:
    return see(ctx)


@action(retry=Retry(3, backoff=AT_ONCE))
async def try_async(ctx: Context) -> str:
    await asyncio.sleep(0)
    seen.append((ctx.function_id, ctx.attempt, ctx.idempotency_key))
    await Entry.objects.acreate(label=f"attempt {ctx.attempt}", function_id=ctx.function_id)
    if errors:
        raise errors.pop(0)
    return "done"


@mutation(retry=Retry(3, backoff=AT_ONCE))
def try_to_change(ctx: Context) -> str:
    ctx.scheduler.run_after(timedelta(days=1), note, label="child")
    return see(ctx)


EACH = pytest.mark.parametrize("function", [try_to_act, try_async, try_to_change], ids=lambda each: each.last_name)


@pytest.fixture
def told():
    """What receivers are told of failed attempts, and of ends."""
    told: list[dict[str, Any]] = []

    def receive(**arguments: Any) -> None:
        told.append(arguments)

    for signal in (attempt_failed, function_finished):
        signal.connect(receive)
    yield told
    for signal in (attempt_failed, function_finished):
        signal.disconnect(receive)


@EACH
def test_function_that_fails_twice_is_tried_three_times(execute_due, told, caplog, function):
    errors[:] = [Refused("first"), Refused("second password=hush")]
    function_id = ctx.scheduler.run_after(0, function)

    execute_due()

    row = record(function_id)
    assert (row.state, row.attempts, row.failures, row.decoded_result()) == (State.SUCCESS, 3, 2, "done")
    assert (row.error, row.traceback, row.failure) == ("", "", "")
    assert [attempt for _, attempt, _ in seen] == [1, 2, 3]
    assert {each for each, _, _ in seen} == {function_id}
    (key,) = {key for _, _, key in seen}
    assert key is not None
    assert str(UUID(key)) == key
    assert [each["error"] for each in history(row)] == ["Refused: first", "Refused: second password=hush"]
    assert {each["executor"] for each in history(row)} == {row.executor}
    times = [datetime.fromisoformat(each["time"]) for each in history(row)]
    assert row.completed_time is not None
    assert row.creation_time <= times[0] <= times[1] <= row.completed_time
    assert [each.get("error") for each in told] == ["Refused: first", "Refused: second password=••••••••", None]
    assert [(each["attempt"], each["state"], each["failure"]) for each in told] == [
        (1, "pending", "error"),
        (2, "pending", "error"),
        (3, "success", ""),
    ]
    assert [each["retry_in"] for each in told[:2]] == [0, 0]
    assert "attempt 1 of 3 failed and is repeated in 0.000 s: Refused: first" in caplog.text
    assert "hush" not in caplog.text


def test_mutation_leaves_nothing_of_the_attempts_that_failed(execute_due):
    errors[:] = [Refused("first"), Refused("second")]
    ctx.scheduler.run_after(0, try_to_change)

    execute_due()

    assert [entry.label for entry in Entry.objects.all()] == ["attempt 3"]
    assert ScheduledFunction.objects.filter(name="tests:note").count() == 1


@pytest.mark.once
@EACH
def test_last_attempt_is_final(execute_due, told, caplog, function):
    errors[:] = [Refused("one"), Refused("two"), Refused("three")]
    function_id = ctx.scheduler.run_after(0, function)

    execute_due()

    row = record(function_id)
    assert (row.state, row.failure, row.error) == (State.FAILED, Failure.ERROR, "Refused: three")
    assert (row.attempts, row.failures, len(history(row)), len(seen)) == (3, 2, 2, 3)
    assert "Refused: three" in row.traceback
    assert [each["state"] for each in told] == ["pending", "pending", "failed"]
    assert f"{function.name} {function_id}: failed (error, attempt 3 of 3), took" in caplog.text


@action(retry=Retry(3, on=(Refused,), backoff=AT_ONCE))
def try_on_refusals(ctx: Context) -> str:
    return see(ctx)


@mutation(retry=Retry(3, on=(Refused,), backoff=AT_ONCE))
def try_to_change_on_refusals(ctx: Context) -> str:
    return see(ctx)


@pytest.mark.once
@pytest.mark.parametrize("function", [try_on_refusals, try_to_change_on_refusals])
def test_error_that_is_not_named_is_final(execute_due, caplog, function):
    errors[:] = [Refused("first"), Refused("second"), ValueError("another one")]
    function_id = ctx.scheduler.run_after(0, function)

    execute_due()

    row = record(function_id)
    assert (row.state, row.error, row.attempts) == (State.FAILED, "ValueError: another one", 3)
    assert f"{function.name} {function_id}: failed (error), took" in caplog.text


@pytest.mark.once
@EACH
def test_what_is_no_exception_is_final(execute_due, function):
    errors[:] = [SystemExit(1)]
    function_id = ctx.scheduler.run_after(0, function)

    execute_due()

    assert (record(function_id).state, len(seen)) == (State.FAILED, 1)


@action
def act_once_or_when_asked(ctx: Context) -> str:
    return see(ctx)


@mutation
def change_once_or_when_asked(ctx: Context) -> str:
    return see(ctx)


def test_action_that_declares_nothing_starts_once(execute_due):
    errors[:] = [Refused("first")]
    function_id = ctx.scheduler.run_after(0, act_once_or_when_asked)

    execute_due()

    row = record(function_id)
    assert (row.state, row.attempts, row.failures, row.history) == (State.FAILED, 1, 0, None)
    assert len(seen) == 1


@pytest.mark.usefixtures("even_backoff")
def test_attempt_waits_for_its_backoff_and_shows_its_error_meanwhile(execute_due):
    errors[:] = [Refused("first")]
    function_id = ctx.scheduler.run_after(0, try_slowly)

    execute_due()

    row = record(function_id)
    assert (row.state, row.error, row.failures, row.started_time) == (State.PENDING, "Refused: first", 1, None)
    assert "Refused: first" in row.traceback
    ended = datetime.fromisoformat(history(row)[0]["time"])
    assert timedelta(minutes=4) < row.due_time - ended < timedelta(minutes=6)
    assert len(seen) == 1


@action(retry=Retry(3, backoff=Backoff(initial=timedelta(minutes=10))))
def try_slowly(ctx: Context) -> str:
    return see(ctx)


@pytest.mark.parametrize("function", [act_once_or_when_asked, change_once_or_when_asked])
def test_body_is_tried_again_when_it_asks(execute_due, told, caplog, function):
    errors[:] = [TransientError("not ready", after=timedelta(hours=1))]
    function_id = ctx.scheduler.run_after(0, function)

    with caplog.at_level(logging.INFO):
        execute_due()

    row = record(function_id)
    assert (row.state, row.attempts, row.failures, row.same_errors) == (State.PENDING, 1, 0, 0)
    assert row.error == history(row)[0]["error"] == "TransientError: not ready"
    ended = datetime.fromisoformat(history(row)[0]["time"])
    assert timedelta(minutes=59) < row.due_time - ended < timedelta(minutes=61)
    assert told == []
    assert "attempt 1 has asked to be repeated in 3600.000 s: TransientError: not ready" in caplog.text


@pytest.mark.once
@pytest.mark.parametrize("function", [act_once_or_when_asked, change_once_or_when_asked])
def test_body_may_ask_as_often_as_it_likes(execute_due, settings, function):
    settings.DJANGO_SCHEDULER = {"MAX_SAME_ERRORS": 3}
    errors[:] = [TransientError("not ready", after=0) for _ in range(25)]
    function_id = ctx.scheduler.run_after(0, function)

    execute_due()

    row = record(function_id)
    assert (row.state, row.attempts, row.failures, len(history(row))) == (State.SUCCESS, 26, 0, 20)


@pytest.mark.once
@pytest.mark.parametrize("function", [try_to_act, try_to_change])
def test_what_was_asked_for_counts_as_no_failure_and_lengthens_no_wait(execute_due, told, function):
    errors[:] = [*(TransientError("not ready", after=0) for _ in range(5)), Refused("one"), Refused("two")]
    function_id = ctx.scheduler.run_after(0, function)

    execute_due()

    row = record(function_id)
    assert (row.state, row.attempts, row.failures) == (State.SUCCESS, 8, 2)
    assert [each["attempt"] for each in told] == [6, 7, 8]


@pytest.mark.once
@pytest.mark.usefixtures("even_backoff")
def test_transient_error_after_many_snoozes_waits_as_after_the_first_one(execute_due, settings):
    settings.DJANGO_SCHEDULER = {"BACKOFF_INITIAL": timedelta(minutes=2), "BACKOFF_MAXIMUM": timedelta(hours=2)}
    errors[:] = [*(TransientError("not ready", after=0) for _ in range(15)), TransientError("a conflict")]
    function_id = ctx.scheduler.run_after(0, change_once_or_when_asked)

    execute_due()

    row = record(function_id)
    assert (row.state, row.attempts) == (State.PENDING, 16)
    ended = datetime.fromisoformat(history(row)[-1]["time"])
    assert row.due_time - ended < timedelta(minutes=2)


@pytest.mark.parametrize("function", [act_once_or_when_asked, change_once_or_when_asked])
def test_same_transient_error_again_and_again_is_final(execute_due, settings, function):
    settings.DJANGO_SCHEDULER = {"MAX_SAME_ERRORS": 3, "BACKOFF_INITIAL": timedelta(microseconds=1)}
    errors[:] = [TransientError(f"not ready, attempt {number}") for number in range(3)]
    function_id = ctx.scheduler.run_after(0, function)

    execute_due(Until.NOTHING_PENDING)

    row = record(function_id)
    assert (row.state, row.failure, row.attempts) == (State.FAILED, Failure.TRANSIENT, 3)
    assert "the same error in 3 attempts in a row" in row.error


class FarTooLate(TransientError):
    after = timedelta(days=9_999_999)


@pytest.mark.once
@pytest.mark.parametrize("function", [act_once_or_when_asked, change_once_or_when_asked])
def test_body_cannot_ask_for_a_time_that_no_call_could_ask_for(execute_due, function):
    errors[:] = [FarTooLate("not in this life")]
    function_id = ctx.scheduler.run_after(0, function)

    execute_due()

    row = record(function_id)
    assert (row.state, row.attempts) == (State.PENDING, 1)
    assert row.due_time <= timezone.now() + timedelta(days=5 * 366)


@mutation
def be_never_ready(ctx: Context) -> None:
    raise TransientError("not ready", after=60)


@action
def call_what_is_never_ready(ctx: Context) -> None:
    Entry.objects.create(label="called", function_id=ctx.function_id)
    ctx.run_mutation(be_never_ready)


def test_what_a_mutation_asks_for_is_not_the_word_of_the_action_that_calls_it(execute_due):
    function_id = ctx.scheduler.run_after(0, call_what_is_never_ready)

    execute_due()

    row = record(function_id)
    assert (row.state, row.failure, row.error) == (State.FAILED, Failure.ERROR, "TransientError: not ready")
    assert Entry.objects.count() == 1


@mutation(retry=Retry(3, backoff=AT_ONCE))
def commit_and_be_refused(ctx: Context) -> None:
    Entry.objects.create(label="committed", function_id=ctx.function_id)
    with connection.cursor() as cursor:
        cursor.execute("COMMIT")
    raise Refused("too late")


@pytest.mark.only_on("postgresql", "sqlite")
def test_mutation_that_has_committed_by_itself_is_not_repeated(execute_due):
    function_id = ctx.scheduler.run_after(0, commit_and_be_refused)

    execute_due()

    assert record(function_id).state == State.FAILED
    assert Entry.objects.filter(label="committed").count() == 1


def test_retries_of_a_group_are_those_of_each_member(execute_due):
    errors[:] = [Refused("first")]
    ids = ctx.scheduler.run_after_many(0, try_to_change, [{}] * 5)

    execute_due()

    rows = ScheduledFunction.objects.filter(pk__in=ids)
    assert {row.state for row in rows} == {State.SUCCESS}
    assert Entry.objects.count() == 5


# Idempotent actions

IDEMPOTENT = Retry(2, backoff=AT_ONCE)


@action(retry=IDEMPOTENT, idempotent=True, timeout=0.2)
def try_to_pass_in_time(ctx: Context, *, gate: str) -> int | None:
    Entry.objects.create(label="started", function_id=ctx.function_id)
    if ctx.attempt == 1:
        Gate(gate).pass_through()
    return ctx.attempt


@action(retry=IDEMPOTENT, idempotent=True, timeout=0.2)
async def wait_for_ever_in_first_attempt(ctx: Context, *, gate: str) -> int | None:
    await Entry.objects.acreate(label="started", function_id=ctx.function_id)
    if ctx.attempt == 1:
        await asyncio.Event().wait()
    return ctx.attempt


def test_body_that_does_not_end_in_time_is_not_run_beside_itself(monkeypatch, gate, told, caplog):
    monkeypatch.setattr("django_scheduler.executor.budget.GRACE", 0.1)
    monkeypatch.setattr("django_scheduler.executor.budget.REPEAT", 0.05)
    function_id = ctx.scheduler.run_after(0, try_to_pass_in_time, gate=gate.path)
    with executing(concurrency=2):
        gate.wait_for_arrivals()
        wait_until(lambda: "its body does not end" in caplog.text, "its time was up")
        other_id = ctx.scheduler.run_after(0, note, label="other")
        wait_until(lambda: record(other_id).state == State.SUCCESS, "another one succeeded meanwhile")
        assert (record(function_id).state, told[1:]) == (State.IN_PROGRESS, [])
        gate.open()
        wait_until(lambda: record(function_id).state == State.SUCCESS, "its second attempt succeeded")

    row = record(function_id)
    assert (row.attempts, row.failures, row.decoded_result()) == (2, 1, 2)
    assert history(row)[0]["error"].startswith("TimedOut: its body ran for longer than the 0.2 s that it may.")
    assert Entry.objects.filter(label="started").count() == 2
    assert [each["failure"] for each in told if each["function_id"] == function_id] == ["timeout", ""]


def test_async_body_whose_time_is_up_is_tried_again(execute_due, gate):
    function_id = ctx.scheduler.run_after(0, wait_for_ever_in_first_attempt, gate=gate.path)

    execute_due()

    row = record(function_id)
    assert (row.state, row.attempts, row.failures) == (State.SUCCESS, 2, 1)


@action(retry=Retry(3, backoff=AT_ONCE), timeout=0.2)
async def wait_for_ever_though_retried(ctx: Context) -> None:
    await asyncio.Event().wait()


def test_timeout_of_an_action_that_is_not_idempotent_is_final(execute_due):
    function_id = ctx.scheduler.run_after(0, wait_for_ever_though_retried)

    execute_due()

    row = record(function_id)
    assert (row.state, row.failure, row.attempts) == (State.FAILED, Failure.TIMEOUT, 1)


@action(retry=Retry(2, backoff=Backoff(initial=timedelta(minutes=10))), idempotent=True)
def pass_gate_of_attempt(ctx: Context, *, first: str, second: str) -> int | None:
    Gate(first if ctx.attempt == 1 else second).pass_through()
    return ctx.attempt


@pytest.mark.usefixtures("even_backoff")
def test_end_of_a_former_attempt_is_dropped_even_if_the_executor_is_the_same(new_gate, told, caplog):
    first, second = new_gate(), new_gate()
    function_id = ctx.scheduler.run_after(0, pass_gate_of_attempt, first=first.path, second=second.path)
    with executing(concurrency=2) as executor:
        first.wait_for_arrivals()
        # It is taken for gone, and then comes to the second attempt: another process in its name, as it were.
        record_lost(database_for("default"), executor.name, "it was silent")
        row = record(function_id)
        assert (row.state, row.attempts, row.failures) == (State.PENDING, 1, 1)
        ScheduledFunction.objects.filter(pk=function_id).update(state=State.IN_PROGRESS, attempts=2)
        first.open()
        wait_until(lambda: "is dropped" in caplog.text, "the end of the former attempt was dropped")

    row = record(function_id)
    assert (row.state, row.attempts, row.result) == (State.IN_PROGRESS, 2, None)
    ScheduledFunction.objects.filter(pk=function_id).delete()


def test_action_is_lost_for_good_after_its_last_attempt():
    function_id = ctx.scheduler.run_after(0, pass_gate_of_attempt, first="", second="")
    rows = ScheduledFunction.objects.filter(pk=function_id)
    rows.update(state=State.IN_PROGRESS, executor="gone", attempts=2, failures=1)

    record_lost(database_for("default"), "gone", "its process has ended")

    row = record(function_id)
    assert (row.state, row.failure) == (State.FAILED, Failure.LOST)


def test_action_that_this_process_does_not_know_is_lost():
    function_id = ctx.scheduler.run_after(0, pass_gate_of_attempt, first="", second="")
    rows = ScheduledFunction.objects.filter(pk=function_id)
    rows.update(state=State.IN_PROGRESS, executor="gone", attempts=1, name="tests:no_such_action")

    record_lost(database_for("default"), "gone", "its process has ended")

    assert record(function_id).failure == Failure.LOST


def test_outside_of_a_scheduled_function_there_is_no_attempt():
    assert (ctx.attempt, ctx.idempotency_key) == (None, None)
    assert ctx.run_action(act_once_or_when_asked) == "done"
    assert seen == [(None, None, None)]


def test_keys_of_functions_differ(execute_due):
    ctx.scheduler.run_after_many(0, try_to_change, [{}] * 3)

    execute_due()

    assert len({key for _, _, key in seen}) == 3
