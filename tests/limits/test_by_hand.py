"""What people do about limits takes effect at once, and loses nothing that waits."""

import pytest

from django_scheduler import Concurrency, Context, action, ctx, limits
from django_scheduler.models import FAR, ScheduledFunction, Slot, State
from tests.support.gates import Gate
from tests.support.in_process import executing
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@action(concurrency=Concurrency(1, name="by_hand"))
def come_to_gate(ctx: Context, *, gate: str) -> None:
    Gate(gate).pass_through()


def waits(function_id: int) -> bool:
    return ScheduledFunction.objects.filter(pk=function_id, due_time=FAR).exists()


def test_released_slot_is_given_to_what_waits(gate):
    first, second = ctx.scheduler.run_after_many(0, come_to_gate, [{"gate": gate.path}] * 2)
    with executing(concurrency=3):
        gate.wait_for_arrivals(1)
        wait_until(lambda: waits(second), "the second one waits")
        slot = Slot.objects.get(function=first)
        assert limits.release("default", slot.pk, first, 1, reason="It hangs", released_by="ada")
        gate.wait_for_arrivals(2)
        assert not limits.release("default", slot.pk, first, 1, reason="It hangs", released_by="ada")
        gate.open()

    assert set(ScheduledFunction.objects.values_list("state", flat=True)) == {State.SUCCESS}


def test_limit_is_raised_closed_and_what_the_code_says_again(gate):
    limits.change("default", "by_hand", 0, reason="The bank is closed", changed_by="ada")
    ids = ctx.scheduler.run_after_many(0, come_to_gate, [{"gate": gate.path}] * 3)
    with executing(concurrency=4):
        wait_until(lambda: all(map(waits, ids)), "all of them wait")
        assert gate.arrivals == 0
        limits.change("default", "by_hand", 2, reason="It is open", changed_by="ada")
        gate.wait_for_arrivals(2)
        assert waits(ids[2])
        limits.reset("default", "by_hand")
        gate.open()
        wait_until(lambda: not ScheduledFunction.objects.exclude(state=State.SUCCESS).exists(), "all have ended")

    assert gate.departures == 3
