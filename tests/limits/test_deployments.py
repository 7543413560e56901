"""What the code says of a limit changes while functions wait for it, and none of them is lost."""

from datetime import timedelta

import pytest

from django_scheduler import Concurrency, Context, ctx, internal_action
from django_scheduler.errors import AlreadyStarted
from django_scheduler.functions import AnyFunction, registry
from django_scheduler.models import ScheduledFunction, State
from tests.support.gates import Gate
from tests.support.in_process import executing
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def function_named(name: str, concurrency: Concurrency | None, *aliases: str) -> AnyFunction:
    """Define a function that waits at a gate, in the place of what the code had under its names before."""
    for each in (name, *aliases):
        registry._functions.pop(f"tests:{each}", None)

    @internal_action(name=name, concurrency=concurrency, aliases=aliases)
    def wait_at(ctx: Context, *, gate: str) -> None:
        Gate(gate).pass_through()

    return wait_at


def waits_for(function_id: int, key: str) -> bool:
    row = record(function_id)
    return row.waits_for == key and row.due_time.year == 9000


def have_succeeded(*ids: int) -> bool:
    return ScheduledFunction.objects.filter(pk__in=ids, state=State.SUCCESS).count() == len(ids)


@pytest.fixture
def running_and_waiting(gate):
    """An executor, in which one ``tests:fetch`` runs and another one waits, for a limit of one for both together."""
    fetch = function_named("fetch", Concurrency(1))
    running = ctx.scheduler.run_after(0, fetch, gate=gate.path)
    with executing(concurrency=4):
        gate.wait_for_arrivals(1)
        waiting = ctx.scheduler.run_after(0, fetch, gate=gate.path)
        wait_until(lambda: waits_for(waiting, "tests:fetch"), "the second one waits")
        try:
            yield running, waiting
        finally:
            gate.open()


def test_larger_number_lets_in_what_waits(running_and_waiting, gate):
    function_named("fetch", Concurrency(2))

    gate.wait_for_arrivals(2)


def test_limit_that_the_code_does_not_have_any_more_keeps_nobody_waiting(running_and_waiting, gate):
    function_named("fetch", None)

    gate.wait_for_arrivals(2)


def test_what_waits_for_a_function_that_is_renamed_takes_its_new_limit(running_and_waiting, gate):
    download = function_named("download", Concurrency(1), "fetch")

    gate.wait_for_arrivals(2)
    third = ctx.scheduler.run_after(0, download, gate=gate.path)

    wait_until(lambda: waits_for(third, "tests:download"), "the third one waits for the second one")
    gate.open()
    wait_until(lambda: have_succeeded(*running_and_waiting, third), "all of them ended")


def test_limit_that_keeps_its_name_holds_for_a_function_that_is_renamed(running_and_waiting, gate):
    download = function_named("download", Concurrency(1, name="tests:fetch"), "fetch")

    third = ctx.scheduler.run_after(0, download, gate=gate.path)

    wait_until(lambda: waits_for(third, "tests:fetch"), "the third one waits for the limit of that name")
    assert gate.arrivals == 1
    gate.open()
    wait_until(lambda: have_succeeded(*running_and_waiting, third), "all of them ended")


def test_what_waits_may_be_asked_to_run_now_and_waits_for_its_slot(running_and_waiting, gate):
    running, waiting = running_and_waiting
    with pytest.raises(AlreadyStarted):
        ctx.scheduler.run_now(running)

    ctx.scheduler.run_now(waiting)

    wait_until(lambda: waits_for(waiting, "tests:fetch"), "it waits again")
    assert gate.arrivals == 1
    gate.open()
    wait_until(lambda: have_succeeded(running, waiting), "both ended")


def test_what_waits_can_be_moved_to_a_later_time(running_and_waiting, gate):
    running, waiting = running_and_waiting
    tomorrow = record(waiting).scheduled_time + timedelta(days=1)

    ctx.scheduler.reschedule(waiting, tomorrow)

    row = record(waiting)
    assert (row.state, row.due_time) == (State.PENDING, tomorrow)
    gate.open()
    wait_until(lambda: have_succeeded(running), "the first one ended")
    assert record(waiting).due_time == tomorrow
