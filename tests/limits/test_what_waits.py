"""What waits for a limit is a function like others: calls, people and errors do with it what they do with any."""

from collections.abc import Iterator

import pytest

from django_scheduler import Backoff, Concurrency, Context, Retry, ctx, internal_action, internal_mutation, pausing
from django_scheduler.errors import AlreadyFinished
from django_scheduler.executor import limit_watch
from django_scheduler.models import FAR, ScheduledFunction, State
from tests.models import Entry
from tests.support.gates import Gate
from tests.support.in_process import executing
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@internal_action(concurrency=Concurrency(1, key="account", name="line"))
def occupy(ctx: Context, *, account: int, gate: str) -> None:
    Gate(gate).pass_through()


@internal_mutation(concurrency=Concurrency(1, key="account", name="line"))
def note_in_line(ctx: Context, *, account: int, label: str) -> None:
    Entry.objects.create(label=label)


@internal_mutation(concurrency=Concurrency(1, key="account", name="line"))
def note_at_gate(ctx: Context, *, account: int, gate: str) -> None:
    Gate(gate).pass_through()
    Entry.objects.create(label="through the gate")


@internal_action(
    concurrency=Concurrency(1, key="account", name="line"), retry=Retry(2, backoff=Backoff(initial=3600, maximum=3600))
)
def raise_in_line(ctx: Context, *, account: int) -> None:
    Entry.objects.create(label="before the error")
    raise ValueError("not today")


@internal_action(concurrency=Concurrency(2, name="lines"))
def occupy_lines(ctx: Context, *, gate: str) -> None:
    Gate(gate).pass_through()


@internal_mutation(concurrency=Concurrency(2, name="lines"))
def note_in_lines(ctx: Context, *, label: str) -> None:
    Entry.objects.create(label=label)


def labels() -> list[str]:
    return list(Entry.objects.order_by("pk").values_list("label", flat=True))


def waits(function_id: int) -> bool:
    return record(function_id).due_time == FAR


@pytest.fixture
def occupied(gate) -> Iterator[None]:
    """An executor, in which the only slot of account 1 is taken until the gate is opened."""
    ctx.scheduler.run_after(0, occupy, account=1, gate=gate.path)
    with executing(concurrency=4):
        gate.wait_for_arrivals(1)
        try:
            yield
        finally:
            gate.open()


def test_call_with_the_key_of_what_waits_is_taken_in_by_it(occupied):
    unique = ctx.scheduler.options(key="note")
    waiting = unique.run_after(0, note_in_line, account=1, label="x")
    wait_until(lambda: waits(waiting), "it waits")

    assert unique.run_after(0, note_in_line, account=1, label="y") == waiting
    assert waits(waiting)


def test_call_that_replaces_what_waits_takes_the_limit_of_its_own_arguments(occupied):
    replacing = ctx.scheduler.options(key="note", existing="replace")
    waiting = replacing.run_after(0, note_in_line, account=1, label="old")
    wait_until(lambda: waits(waiting), "it waits for account 1")

    assert replacing.run_after(0, note_in_line, account=2, label="new") == waiting

    wait_until(lambda: labels() == ["new"], "it runs for account 2")


def test_what_waits_for_another_attempt_leaves_its_slot_to_others():
    failing = ctx.scheduler.run_after(0, raise_in_line, account=1)
    with executing(concurrency=2):
        wait_until(lambda: record(failing).failures == 1, "it failed once")
        ctx.scheduler.run_after(0, note_in_line, account=1, label="meanwhile")
        wait_until(lambda: "meanwhile" in labels(), "the other one ran")
    assert (record(failing).state, record(failing).waits_for) == (State.PENDING, None)


def test_slot_of_one_that_failed_is_free(occupied, gate):
    failing = ctx.scheduler.run_after(0, raise_in_line, account=1)
    noted = ctx.scheduler.run_after(0, note_in_line, account=1, label="after it")
    wait_until(lambda: waits(failing) and waits(noted), "both wait")

    gate.open()

    wait_until(lambda: labels() == ["before the error", "after it"], "both ran, in their order")


def test_cancel_waits_for_the_end_of_a_mutation_that_executes_so_that_no_other_begins_beside_its_body(gate, session):
    running = ctx.scheduler.run_after(0, note_at_gate, account=1, gate=gate.path)
    with executing(concurrency=2):
        gate.wait_for_arrivals(1)
        try:
            cancel = session.begin(ctx.scheduler.cancel, running)
            session.wait_until_it_has_looked_for_somebody_to_interrupt()
            assert gate.departures == 0
        finally:
            gate.open()
        with pytest.raises(AlreadyFinished):
            cancel.result(timeout=30)
    assert labels() == ["through the gate"]


def test_cancel_of_all_that_waits_lets_others_run(occupied, gate):
    waiting = ctx.scheduler.run_after_many(0, note_in_line, [{"account": 1, "label": "canceled"}] * 5)
    wait_until(lambda: all(map(waits, waiting)), "they wait")

    assert ctx.scheduler.cancel_all(note_in_line, args={"account": 1}) == 5
    ctx.scheduler.run_after(0, note_in_line, account=1, label="x")
    gate.open()

    wait_until(lambda: labels() == ["x"], "the one that was not canceled ran")
    assert set(ScheduledFunction.objects.filter(pk__in=waiting).values_list("state", flat=True)) == {State.CANCELED}


def test_earlier_one_of_a_paused_queue_keeps_later_ones_of_a_limit_of_one_waiting():
    pausing.pause("default", "bulk")
    ctx.scheduler.options(queue="bulk").run_after(0, note_in_line, account=1, label="first")
    second = ctx.scheduler.run_after(0, note_in_line, account=1, label="second")
    with executing(concurrency=2):
        wait_until(lambda: waits(second), "the second one waits")
        ctx.scheduler.run_after(0, note_in_line, account=2, label="of another account")
        wait_until(lambda: labels() == ["of another account"], "that runs meanwhile")
        pausing.resume("default", "bulk")
        wait_until(lambda: labels()[1:] == ["first", "second"], "they run in their order")


def test_priority_does_not_change_the_order_of_a_limit_of_one():
    for priority in range(5):
        urgent = ctx.scheduler.options(priority=priority)
        urgent.run_after(0, note_in_line, account=1, label=f"priority {priority}")
    with executing(concurrency=1):
        wait_until(lambda: len(labels()) == 5, "all of them ran")
    assert labels() == [f"priority {priority}" for priority in range(5)]


def test_what_is_let_in_and_then_paused_lets_others_begin_however_busy_the_executor_is(gate, monkeypatch):
    monkeypatch.setattr(limit_watch, "PATIENCE", 0.2)
    ctx.scheduler.run_after_many(0, occupy_lines, [{"gate": gate.path}] * 2)
    with executing(concurrency=4):
        gate.wait_for_arrivals(2)
        bulk = ctx.scheduler.options(queue="bulk")
        paused = bulk.run_after_many(0, note_in_lines, [{"label": "paused"}] * 2)
        wait_until(lambda: all(map(waits, paused)), "both wait")
        other = ctx.scheduler.run_after(0, note_in_lines, label="other")
        wait_until(lambda: waits(other), "the other one waits behind them")
        pausing.pause("default", "bulk")
        gate.open()
        wait_until(lambda: not any(map(waits, paused)), "both were let in")

        def begins_beside_others() -> bool:
            ctx.scheduler.run_after(0, note_in_line, account=2, label="busy")
            return "other" in labels()

        wait_until(begins_beside_others, "it ran")
    assert "paused" not in labels()
