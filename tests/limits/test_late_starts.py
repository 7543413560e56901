"""A body that begins later than it was about to, because the machine or the database is slow, counts from then on."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError

from django_scheduler import Backoff, Context, RateLimit, Retry, action, ctx, mutation
from django_scheduler.databases import database_for
from django_scheduler.databases.rows import SLOTS
from django_scheduler.models import UNFINISHED, ScheduledFunction, State
from django_scheduler.record import delete_idle_slots
from django_scheduler.signals import function_started
from tests.limits.start_ledger import StartLedger
from tests.support.in_process import executing
from tests.support.statements import failing
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

PERIOD = timedelta(seconds=0.5)

#: What is late: longer than a body may need to begin (see ``_longest_delay``), and shorter than the period.
LATE = 0.3

#: One body within a period.
ONE = RateLimit(1, per=PERIOD, name="late")


@pytest.fixture(autouse=True)
def _longest_delay(monkeypatch):
    """Let bodies begin a tenth of a second after they have taken a slot, or a busy machine would be measured."""
    monkeypatch.setattr("django_scheduler.functions.limits.SHARE_OF_PERIOD", 5)


@pytest.fixture
def ledger(tmp_path):
    return StartLedger(str(tmp_path / "starts"))


def note(ctx: Context, path: str) -> None:
    StartLedger(path).note("late", ctx.function_id or 0)


@mutation(rate_limit=ONE)
def write_once(ctx: Context, *, path: str) -> None:
    note(ctx, path)


@action(rate_limit=ONE)
def send_once(ctx: Context, *, path: str) -> None:
    note(ctx, path)


@action(rate_limit=ONE)
async def send_in_loop(ctx: Context, *, path: str) -> None:
    await asyncio.to_thread(note, ctx, path)


@action
async def keep_loop(ctx: Context, *, seconds: float) -> None:
    """Does what no coroutine may do, and some do."""
    time.sleep(seconds)  # noqa: ASYNC251


@mutation(rate_limit=ONE, retry=Retry(2, backoff=Backoff(initial=0.001, maximum=0.001)))
def write_at_the_second_attempt(ctx: Context, *, path: str) -> None:
    note(ctx, path)
    if ctx.attempt == 1:
        raise ConnectionError("not yet")


@action(rate_limit=ONE, retry=Retry(2, backoff=Backoff(initial=0.001, maximum=0.001)))
def send_at_the_second_attempt(ctx: Context, *, path: str) -> None:
    note(ctx, path)
    if ctx.attempt == 1:
        raise ConnectionError("not yet")


@mutation(rate_limit=RateLimit(2, per=PERIOD, name="late_two"))
def write_slowly(ctx: Context, *, path: str) -> None:
    note(ctx, path)
    time.sleep(LATE)


@pytest.fixture
def held_up():
    """Holds up what is about to begin: calls what the test says, with the function's id, when its body would begin."""
    receivers = []

    def hold_up(wait: Callable[[int], None]) -> None:
        def receive(function_id: int, **kwargs: Any) -> None:
            wait(function_id)

        receivers.append(receive)
        function_started.connect(receive)

    yield hold_up
    for each in receivers:
        function_started.disconnect(each)


def pass_time(_: object) -> None:
    time.sleep(LATE)


def wait_until_ended(ids: Sequence[int]) -> None:
    unfinished = ScheduledFunction.objects.filter(pk__in=ids, state__in=UNFINISHED)
    wait_until(lambda: not unfinished.exists(), "all have ended")
    assert set(ScheduledFunction.objects.filter(pk__in=ids).values_list("state", flat=True)) == {State.SUCCESS}


def most(ledger: StartLedger) -> int:
    return ledger.most_within(PERIOD.total_seconds())["late"]


@pytest.mark.parametrize("function", [write_once, send_once], ids=lambda each: each.kind)
def test_next_body_begins_a_period_after_one_that_was_held_up(ledger, held_up, function):
    held_up(pass_time)
    ids = ctx.scheduler.run_after_many(0, function, [{"path": ledger.path}] * 3)
    with executing(concurrency=2), executing(concurrency=2):
        wait_until_ended(ids)
    assert most(ledger) == 1


@pytest.mark.parametrize(
    "function",
    [
        # On SQLite a slot that is taken again in the transaction of the body is as it was, if that is rolled back.
        pytest.param(write_at_the_second_attempt, marks=pytest.mark.only_on("postgresql", "mysql")),
        send_at_the_second_attempt,
    ],
    ids=lambda each: each.kind,
)
def test_body_that_was_held_up_and_fails_counts_from_its_beginning(ledger, held_up, function):
    held_up(lambda _: None if ledger.starts else pass_time(_))
    ids = ctx.scheduler.run_after_many(0, function, [{"path": ledger.path}])
    with executing(concurrency=2):
        wait_until_ended(ids)
    assert len(ledger.starts["late"]) == 2
    assert most(ledger) == 1


def test_member_of_a_group_that_begins_after_a_slow_one_counts_from_its_beginning(ledger):
    ids = ctx.scheduler.run_after_many(0, write_slowly, [{"path": ledger.path}] * 5)
    with executing(concurrency=1), executing(concurrency=1):
        wait_until_ended(ids)
    assert most(ledger) <= 2


@pytest.mark.only_on("postgresql", "mysql")
@pytest.mark.parametrize("function", [write_once, send_once], ids=lambda each: each.kind)
def test_body_whose_slot_another_one_has_taken_waits_for_a_slot(ledger, held_up, function):
    first, second = ctx.scheduler.run_after_many(0, function, [{"path": ledger.path}] * 2)
    has_ended = threading.Event()
    held: list[int] = []

    def wait(function_id: int) -> None:
        if not held:
            held.append(function_id)
            assert has_ended.wait(20)

    held_up(wait)
    with executing(concurrency=1), executing(concurrency=1):
        wait_until(lambda: held, "one of them is held up")
        (other,) = {first, second} - {*held}
        wait_until_ended([other])
        has_ended.set()
        wait_until_ended([first, second])
    assert most(ledger) == 1


def test_coroutine_that_waits_for_the_event_loop_counts_from_its_beginning(ledger):
    kept = ctx.scheduler.run_after(0, keep_loop, seconds=2 * PERIOD.total_seconds())
    with executing(concurrency=4):
        wait_until(lambda: ScheduledFunction.objects.filter(pk=kept, state=State.IN_PROGRESS), "the loop is kept")
        ids = ctx.scheduler.run_after_many(0, send_in_loop, [{"path": ledger.path}] * 2)
        wait_until_ended([kept, *ids])
    assert most(ledger) == 1


def test_body_whose_slot_was_deleted_meanwhile_takes_another_one(ledger, held_up):
    first = ctx.scheduler.run_after(0, send_once, path=ledger.path)
    is_deleted = threading.Event()
    held_up(lambda _: is_deleted.wait(20))
    with executing(concurrency=2):
        wait_until(lambda: delete_idle_slots(database_for("default"), threading.Event()), "its slot is deleted")
        is_deleted.set()
        wait_until_ended([first])
        wait_until_ended([ctx.scheduler.run_after(0, send_once, path=ledger.path)])
    assert most(ledger) == 1


def test_action_that_was_held_up_while_the_database_was_away_counts_from_its_beginning(ledger, held_up):
    held_up(lambda _: None if ledger.starts else pass_time(_))
    ids = ctx.scheduler.run_after_many(0, send_once, [{"path": ledger.path}] * 2)

    def takes_again(sql: str, params: Any) -> bool:
        return sql.startswith(f"UPDATE {SLOTS}") and sql.endswith("WHERE id = %s AND taken = %s")

    with failing(takes_again, OperationalError("the connection is lost"), times=1), executing(concurrency=2):
        wait_until_ended(ids)
    assert most(ledger) == 1


class SlowMiddleware:
    """Does something for the first body before it begins."""

    is_first = True

    def __init__(self, run):
        self._run = run

    def __call__(self, call):
        if SlowMiddleware.is_first:
            SlowMiddleware.is_first = False
            pass_time(call)
        return self._run(call)


@pytest.mark.parametrize("function", [write_once, send_once], ids=lambda each: each.kind)
def test_body_behind_slow_middleware_counts_from_its_beginning(ledger, settings, monkeypatch, function):
    settings.DJANGO_SCHEDULER = {"MIDDLEWARE": [f"{__name__}.SlowMiddleware"]}
    monkeypatch.setattr(SlowMiddleware, "is_first", True)
    ids = ctx.scheduler.run_after_many(0, function, [{"path": ledger.path}] * 2)
    with executing(concurrency=1), executing(concurrency=1):
        wait_until_ended(ids)
    assert most(ledger) == 1
