"""The order in which due functions start: by priority, then by due time, then in scheduling order.

Between queues the order of due times holds where they differ by more than a second plus a tenth of how late the
earlier one is.
"""

import math
import threading
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_scheduler import Context, ctx, mutation
from django_scheduler.executor import poller
from django_scheduler.functions import Function
from tests.support.in_process import executing
from tests.support.records import record
from tests.support.waiting import wait_until

QUEUES = "abcde"
PRIORITIES = range(-2, 3)

started: list[int] = []
may_return = threading.Event()
is_waiting = threading.Event()


def make_function(queue: str, priority: int) -> Function:
    @mutation(name=f"start_in_{queue}_{priority + 2}", queue=queue, priority=priority)
    def start(ctx: Context, *, number: int) -> None:
        started.append(number)

    return start


FUNCTIONS = {(queue, priority): make_function(queue, priority) for queue in QUEUES for priority in PRIORITIES}


@dataclass(frozen=True)
class Call:
    queue: str
    priority: int
    #: How long ago it was due, in microseconds: few values, so that there are many ties.
    ago: int


def lane_of(call: Call) -> tuple[str, int]:
    return call.queue, call.priority


def roughly(call: Call) -> tuple[int, bool]:
    """Return the order that holds whatever the queues."""
    return call.priority, call.ago > 100_000_000


calls = st.builds(
    Call,
    st.sampled_from(QUEUES),
    st.sampled_from(PRIORITIES),
    st.sampled_from([0, 1, 2, 300, 400, 200_000_000]),
)


@pytest.fixture(autouse=True)
def _nothing_started():
    started.clear()
    may_return.clear()
    is_waiting.clear()


@pytest.mark.django_db(transaction=True)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(calls, min_size=1, max_size=12))
def test_one_worker_starts_what_is_due_by_priority_then_time_then_scheduling_order(execute_due, several):
    """Between the queues of one priority only roughly: what was due a millisecond earlier may start later."""
    started.clear()
    latest = timezone.now() - timedelta(seconds=5)
    for number, call in enumerate(several):
        # The database keeps microseconds, and moves a time in the past to the present.
        function_id = ctx.scheduler.run_at(latest, FUNCTIONS[call.queue, call.priority], number=number)
        row = record(function_id)
        type(row).objects.filter(pk=row.pk).update(due_time=latest - timedelta(microseconds=call.ago))

    execute_due()

    in_order = sorted(range(len(several)), key=lambda number: (-several[number].priority, -several[number].ago, number))
    lanes = {(call.queue, call.priority) for call in several}
    for lane in lanes:
        assert [each for each in started if lane_of(several[each]) == lane] == [
            each for each in in_order if lane_of(several[each]) == lane
        ]
    assert [roughly(several[each]) for each in started] == [roughly(several[each]) for each in in_order]


@pytest.mark.django_db(transaction=True)
def test_only_the_queues_that_an_executor_serves_are_executed():
    ids = [ctx.scheduler.run_after(0, FUNCTIONS[queue, 0], number=number) for number, queue in enumerate(QUEUES)]

    with executing(queues=["b", "d"]):
        wait_until(lambda: len(started) == 2, "two functions started")

    assert sorted(started) == [1, 3]
    assert [record(function_id).state for function_id in ids] == ["pending", "success", "pending", "success", "pending"]


@mutation(queue="a")
def wait_in_queue_a(ctx: Context) -> None:
    is_waiting.set()
    assert may_return.wait(20)


@pytest.mark.django_db(transaction=True)
@pytest.mark.only_on("postgresql", "mysql")
def test_among_queues_the_function_that_is_due_first_starts_although_the_other_queue_began_earlier(monkeypatch):
    # After a look that took long, as it may on a busy machine, a queue that is new is seen later.
    monkeypatch.setattr(poller, "LONG_LOOK", math.inf)
    ctx.scheduler.run_after(0, wait_in_queue_a)
    with executing(concurrency=2):
        assert is_waiting.wait(20)
        with transaction.atomic():
            ctx.scheduler.run_after(0, FUNCTIONS["b", 0], number=1)
            ctx.scheduler.run_after(0, FUNCTIONS["a", 0], number=2)
        wait_until(lambda: len(started) == 2, "both were executed")
        may_return.set()

    assert started == [1, 2]
