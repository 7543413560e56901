"""Where looks take long, those that follow begin where the last one has found something, until nothing is due there."""

import math
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.databases import database_for
from django_scheduler.executor import Until, poller
from django_scheduler.models import ScheduledFunction, ScheduledFunctionId, State
from tests.support.in_process import executing
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

is_waiting = threading.Event()
may_return = threading.Event()


@action
def wait_for_the_others(ctx: Context) -> None:
    is_waiting.set()
    assert may_return.wait(20)


@mutation(queue="early")
def start_early(ctx: Context) -> None: ...


@mutation(queue="late")
def start_late(ctx: Context) -> None: ...


@pytest.fixture
def _all_looks_are_long(monkeypatch, settings) -> Iterator[None]:
    """Each look takes long; what it says of where to begin is believed until nothing is due there."""
    settings.DJANGO_SCHEDULER = {"POLL_INTERVAL": timedelta(hours=1)}
    monkeypatch.setattr(poller, "LONG_LOOK", -1.0)
    monkeypatch.setattr(poller, "LONGEST_REST", 0.0)
    monkeypatch.setattr(poller, "RESTS_FROM_BEGINNING", math.inf)
    yield
    is_waiting.clear()
    may_return.clear()


def make_due_before_all(function_id: ScheduledFunctionId) -> None:
    """Have it be due when the others were not scheduled yet, as if its transaction had taken so long to commit."""
    long_ago = timezone.now() - timedelta(hours=1)
    ScheduledFunction.objects.filter(pk=function_id).update(due_time=long_ago)


@pytest.mark.usefixtures("_all_looks_are_long")
@pytest.mark.parametrize("until", [Until.STOPPED, Until.NOTHING_DUE, Until.NOTHING_PENDING])
def test_what_was_committed_late_is_executed_before_the_executor_sleeps_or_ends(until):
    ctx.scheduler.run_after(0, wait_for_the_others)
    with executing(concurrency=1, until=until):
        assert is_waiting.wait(20)
        late = ctx.scheduler.run_after(timedelta(days=1), start_late)
        make_due_before_all(late)
        early = ctx.scheduler.run_after(0, start_early)
        may_return.set()
        wait_until(lambda: record(late).state == State.SUCCESS, "it was found")

    started = ScheduledFunction.objects.filter(pk__in=[early, late]).order_by("started_time")
    assert [each.pk for each in started] == [early, late]  # so the look that began later did not see it


def test_look_that_begins_later_finds_the_lanes_that_have_anything_from_then_on():
    database = database_for("default")
    ctx.scheduler.run_after_many(timedelta(hours=1), start_early, [{}] * 3)
    ctx.scheduler.run_after(timedelta(hours=3), start_early)
    ctx.scheduler.run_after(timedelta(hours=2), start_late)
    early, late = sorted(database.lanes(), key=lambda lane: lane.queue)
    assert (early.queue, late.queue) == ("early", "late")

    assert min(database.lanes(since=early.due_time), key=lambda lane: lane.queue).first_id == early.first_id
    later, same = sorted(database.lanes(since=late.due_time), key=lambda lane: lane.queue)
    assert (later.queue, later.due_in > late.due_in) == ("early", True)
    assert same.first_id == late.first_id
    assert [lane.queue for lane in database.lanes(since=later.due_time)] == ["early"]
