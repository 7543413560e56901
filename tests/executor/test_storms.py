"""Many that meet transient errors again and again do not hold up the others, and come to their end themselves."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import transaction

from django_scheduler import Context, ctx, mutation
from django_scheduler.errors import TransientError
from django_scheduler.executor import claim_policy, poller
from django_scheduler.executor.poller import Until
from django_scheduler.models import ScheduledFunction, State
from tests.executor.grouping.functions import nothing
from tests.support.in_process import executing, one_worker
from tests.support.waiting import wait_until

attempts: list[int] = []
attempts_before: list[int] = []
seen: list[int] = []


@pytest.fixture(autouse=True)
def _nothing_has_happened(transactional_db, settings):
    settings.DJANGO_SCHEDULER = {"BACKOFF_INITIAL": timedelta(milliseconds=1), "BACKOFF_MAXIMUM": timedelta(seconds=1)}
    attempts.clear()
    attempts_before.clear()
    seen.clear()


@mutation
def ask_for_a_retry(ctx: Context, *, times: int) -> None:
    attempts.append(ctx.function_id or 0)
    if attempts.count(ctx.function_id or 0) <= times:
        raise TransientError("not yet")


@mutation
def look_how_many_came_before(ctx: Context, *, number: int) -> None:
    seen.append(number)
    if number == 1:
        attempts_before.append(len(attempts))


def test_what_is_healthy_is_executed_before_a_storm_that_was_due_before_it(execute_due, monkeypatch):
    monkeypatch.setattr(claim_policy, "STORM_SECONDS", 3600.0)
    monkeypatch.setattr(claim_policy, "RETRIES_PER_SECOND", 0.001)  # or a slow machine would execute only these
    ctx.scheduler.run_after_many(0, ask_for_a_retry, [{"times": 1}] * 60)
    ctx.scheduler.run_after_many(0, look_how_many_came_before, [{"number": number} for number in range(1, 11)])

    execute_due(Until.NOTHING_PENDING)

    assert attempts_before[0] < 50
    assert seen == list(range(1, 11))
    assert len(attempts) == 2 * 60
    assert set(ScheduledFunction.objects.values_list("state", flat=True)) == {State.SUCCESS}


def test_storm_ends_although_something_healthy_is_always_due(monkeypatch):
    monkeypatch.setattr(claim_policy, "STORM_SECONDS", 3600.0)
    monkeypatch.setattr(claim_policy, "FOR_A_WHILE", 3600.0)
    ids = ctx.scheduler.run_after_many(0, ask_for_a_retry, [{"times": 1}] * 22)
    storm = ScheduledFunction.objects.filter(pk__in=ids)
    with executing(concurrency=2):
        wait_until(lambda: len(attempts) >= 20, "the storm was noticed")
        deadline = time.monotonic() + 20
        while storm.exclude(state=State.SUCCESS).exists():
            assert time.monotonic() < deadline, "The storm has not ended within 20 seconds."
            ctx.scheduler.run_after_many(0, nothing, [{}] * 5)


def test_several_workers_end_a_storm():
    ctx.scheduler.run_after_many(0, ask_for_a_retry, [{"times": 1}] * 30)

    with executing(concurrency=4, until=Until.NOTHING_PENDING) as executor:
        assert executor.wait(timeout=30)

    assert set(ScheduledFunction.objects.values_list("state", flat=True)) == {State.SUCCESS}
    assert len(attempts) == 2 * 30


def test_worker_that_waits_in_a_storm_is_woken_by_the_one_that_retries(monkeypatch, settings):
    monkeypatch.setattr(poller, "BUSY_INTERVAL", 60.0)
    settings.DJANGO_SCHEDULER |= {"POLL_INTERVAL": timedelta(minutes=1)}
    ctx.scheduler.run_after_many(0, ask_for_a_retry, [{"times": 1}] * 100)

    with executing(concurrency=2):
        rest = ScheduledFunction.objects.exclude(state=State.SUCCESS)
        wait_until(lambda: not rest.exists(), "the storm has ended")


@pytest.mark.only_on("postgresql", "mysql")
def test_worker_sleeps_in_a_storm_while_what_is_due_is_locked(monkeypatch):
    monkeypatch.setattr(claim_policy, "STORM_SECONDS", 3600.0)
    function_id = ctx.scheduler.run_after(0, nothing)
    done: list[str] = []
    look, sleep = poller.Poller._look, poller.Poller._sleep

    def look_and_note(*arguments):
        done.append("look")
        return look(*arguments)

    def sleep_and_note(worker_of_test, *at_most):
        done.append("sleep" if min(at_most) >= poller.BUSY_INTERVAL else "go on")
        return sleep(worker_of_test, *at_most)

    monkeypatch.setattr(poller.Poller, "_look", look_and_note)
    monkeypatch.setattr(poller.Poller, "_sleep", sleep_and_note)
    with one_worker(Until.STOPPED) as worker_of_test:
        for _ in range(claim_policy.STORM_ERRORS):
            worker_of_test.retry_storm.note("tests:another_one", is_transient=True)
        thread = threading.Thread(target=worker_of_test.run, daemon=True)
        with transaction.atomic():
            ScheduledFunction.objects.select_for_update().get(pk=function_id)
            thread.start()
            wait_until(lambda: done.count("look") > 2, "it looked again")
        worker_of_test.stopping.set()
        worker_of_test.poller.wake_up()
        thread.join(20)

    assert done[:5] == ["look", "sleep", "look", "sleep", "look"]
