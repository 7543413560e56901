"""What waits for a rate limit begins in the end, whatever goes wrong meanwhile."""

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from django_scheduler import Context, RateLimit, ctx, mutation
from django_scheduler.models import FAR, UNFINISHED, Limit, ScheduledFunction
from tests.models import Entry
from tests.support.in_process import executing
from tests.support.records import record
from tests.support.statements import failing
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

FEW = RateLimit(4, per=timedelta(seconds=0.4), name="few")


@mutation(rate_limit=FEW)
def write_a_few(ctx: Context, *, number: int) -> None:
    Entry.objects.create(label=f"{number}")


@mutation(rate_limit=RateLimit(10, per=timedelta(hours=1)))
def write_at_most_hourly(ctx: Context) -> None: ...


@mutation(rate_limit=RateLimit(10, per=timedelta(hours=1)))
def raise_at_most_hourly(ctx: Context) -> None:
    raise ValueError("not this one")


def schedule() -> Sequence[int]:
    """Schedule more functions than may begin at once; all of them wait for now."""
    stopped = Limit.objects.create(name="few rate", number=0, changed_time=timezone.now())
    ids = ctx.scheduler.run_after_many(0, write_a_few, [{"number": each} for each in range(8)])
    with executing(concurrency=2):
        wait_until(lambda: ScheduledFunction.objects.filter(due_time=FAR).count() == len(ids), "all of them wait")
    stopped.delete()
    return ids


def wait_until_ended(ids: Sequence[int]) -> None:
    unfinished = ScheduledFunction.objects.filter(pk__in=ids, state__in=UNFINISHED)
    wait_until(lambda: not unfinished.exists(), "all of them have ended")


def test_look_of_the_limit_watch_that_fails_is_repeated():
    ids = schedule()

    def looks(sql: str, params: Any) -> bool:
        return threading.current_thread().name == "django_scheduler limits"

    with failing(looks, OperationalError("the connection is lost"), times=2), executing(concurrency=2):
        wait_until_ended(ids)
    assert Entry.objects.count() == len(ids)


@pytest.mark.only_on("postgresql", "mysql")
def test_second_session_whose_thread_cannot_start_is_tried_again(monkeypatch):
    start = threading.Thread.start
    failures: list[threading.Thread] = []

    def fail_once(thread: threading.Thread) -> None:
        if thread.name == "django_scheduler second session" and not failures:
            failures.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fail_once)
    ids = ctx.scheduler.run_after_many(0, write_a_few, [{"number": each} for each in range(3)])
    with executing(concurrency=2):
        wait_until_ended(ids)
    assert failures
    assert Entry.objects.count() == len(ids)


@pytest.mark.parametrize("function", [write_at_most_hourly, raise_at_most_hourly], ids=["succeeds", "fails"])
def test_function_was_due_before_it_began(function):
    function_id = ctx.scheduler.run_after(0, function)
    with executing(concurrency=1):
        wait_until_ended([function_id])
    row = record(function_id)
    assert row.started_time is not None
    assert row.scheduled_time <= row.due_time <= row.started_time
