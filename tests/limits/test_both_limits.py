"""A function may be limited in both ways, and run beside others that are limited in none."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest

from django_scheduler import Concurrency, Context, RateLimit, action, ctx, mutation
from django_scheduler.executor import Until
from django_scheduler.models import FAR, ScheduledFunction, Slot, State
from tests.models import Entry
from tests.support.gates import Gate
from tests.support.in_process import execute_with_one_worker, executing
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

HOURLY = RateLimit(1, per=timedelta(hours=1), key="provider", name="of_both")


@mutation(concurrency=Concurrency(1, key="account", name="in_turn"), rate_limit=HOURLY)
def write_in_turn_at_a_rate(ctx: Context, *, account: int, provider: str) -> None:
    Entry.objects.create(label=provider, function_id=ctx.function_id)


@action(concurrency=Concurrency(2, key="account", name="by_two"), rate_limit=HOURLY)
def send_by_two_at_a_rate(ctx: Context, *, account: int, provider: str) -> None: ...


@action(concurrency=Concurrency(2, key="account", name="by_two"))
def send_by_two_at_any_rate(ctx: Context, *, account: int, gate: str) -> None:
    Gate(gate).pass_through()


@mutation(rate_limit=RateLimit(5, per=timedelta(hours=1), name="without_slots_yet"))
def write_at_a_rate(ctx: Context) -> None:
    Entry.objects.create(label="at a rate", function_id=ctx.function_id)


@mutation
def write_plainly(ctx: Context) -> None:
    Entry.objects.create(label="plain", function_id=ctx.function_id)


def begun() -> list[int | None]:
    return list(Entry.objects.order_by("pk").values_list("function_id", flat=True))


def waiting(ids: Sequence[int]) -> dict[int, str | None]:
    rows = ScheduledFunction.objects.filter(pk__in=ids, due_time=FAR).order_by("pk")
    return dict(rows.values_list("pk", "waits_for"))


def test_order_of_due_times_is_kept_when_the_first_one_waits_for_its_rate_limit():
    before = ctx.scheduler.run_after(0, write_in_turn_at_a_rate, account=8, provider="mail")
    execute_with_one_worker()
    assert begun() == [before]
    first = ctx.scheduler.run_after(0, write_in_turn_at_a_rate, account=7, provider="mail")
    second = ctx.scheduler.run_after(0, write_in_turn_at_a_rate, account=7, provider="print")
    execute_with_one_worker()
    assert begun() == [before]
    assert waiting([first, second]) == {first: 'of_both rate ["mail"]', second: "in_turn [7]"}

    ctx.scheduler.cancel(first)
    with executing(concurrency=2):
        wait_until(lambda: record(second).state == State.SUCCESS, "the second one moves up")


def test_executor_that_ends_by_itself_does_so_although_the_first_one_in_an_order_waits_for_its_rate_limit():
    """And none of those behind it is let in again and again meanwhile, to find out that it is not its turn."""
    ctx.scheduler.run_after(0, write_in_turn_at_a_rate, account=8, provider="mail")
    ids = [ctx.scheduler.run_after(0, write_in_turn_at_a_rate, account=7, provider="mail") for _ in range(3)]
    with executing(concurrency=2, until=Until.NOTHING_DUE) as executor:
        assert executor.wait(20)
    assert len(waiting(ids)) == 3


def test_action_that_waits_for_its_rate_limit_has_no_slot_of_the_other_limit(gate):
    ctx.scheduler.run_after(0, send_by_two_at_a_rate, account=8, provider="mail")
    with executing(concurrency=4):
        wait_until(lambda: ScheduledFunction.objects.filter(state=State.SUCCESS).exists(), "the slot is taken")
        late = ctx.scheduler.run_after(0, send_by_two_at_a_rate, account=7, provider="mail")
        wait_until(lambda: waiting([late]), "it waits")
        assert not Slot.objects.filter(function_id=late).exists()
        for _ in range(2):
            ctx.scheduler.run_after(0, send_by_two_at_any_rate, account=7, gate=gate.path)
        gate.wait_for_arrivals(2)
        gate.open()


def test_function_whose_slots_are_not_there_yet_begins_in_its_turn_among_others(growing_groups):
    ids = []
    for _ in range(20):
        ids += ctx.scheduler.run_after_many(0, write_plainly, [{}] * 5)
    first = ctx.scheduler.run_after(0, write_at_a_rate)
    ids += ctx.scheduler.run_after_many(0, write_plainly, [{}] * 400)
    execute_with_one_worker()
    assert begun().index(first) <= 200
    assert Counter(begun()) == Counter([*ids, first])


@mutation(concurrency=Concurrency(1, name="behind_what_nobody_serves"), queue="nobody_serves_it")
def write_elsewhere(ctx: Context) -> None: ...


@mutation(concurrency=Concurrency(1, name="behind_what_nobody_serves"))
def write_here(ctx: Context) -> None: ...


def test_executor_ends_by_itself_although_nobody_serves_the_first_one_in_an_order():
    ids = [ctx.scheduler.run_after(0, each) for each in (write_elsewhere, write_here, write_here)]
    with executing(queues=["default"], until=Until.NOTHING_DUE) as executor:
        assert executor.wait(20)
    assert len(waiting(ids)) == 2
