"""cancel_all while some of what it cancels is executing."""

import pytest
from django.db import transaction

from django_scheduler import ctx
from django_scheduler.models import ScheduledFunction, State
from tests.functions import write
from tests.models import Entry
from tests.scheduling.cancellation import functions
from tests.support.waiting import wait_until


def states() -> dict[str, int]:
    counts: dict[str, int] = {}
    for state in ScheduledFunction.objects.values_list("state", flat=True):
        counts[state] = counts.get(state, 0) + 1
    return counts


def cancel_everything() -> int:
    return ctx.scheduler.cancel_all(everything=True)


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("function", [functions.sleep_in_statement, functions.write_at_gate])
def test_what_executes_is_interrupted_among_thousands_that_wait(function, gate, start_executor):
    start_executor(concurrency=6)
    ctx.scheduler.run_after_many(0, function, [{"gate": gate.path}] * 6)
    gate.wait_for_arrivals(6)
    ctx.scheduler.run_after_many(60_000, write, [{"label": "later"}] * 2_000)
    assert ctx.scheduler.cancel_all(everything=True) == 2_006
    gate.open()
    assert states() == {State.CANCELED: 2_006}
    assert not Entry.objects.exists()


@pytest.mark.only_on("postgresql")
def test_what_was_interrupted_for_nothing_runs_again(gate, start_executor):
    start_executor(concurrency=3)
    ctx.scheduler.run_after_many(0, functions.sleep_in_statement, [{"gate": gate.path, "times": 3}] * 3)
    gate.wait_for_arrivals(3)
    with transaction.atomic():
        assert ctx.scheduler.cancel_all(everything=True) == 3
        transaction.set_rollback(True)
    wait_until(lambda: states() == {State.SUCCESS: 3}, "all of them succeeded")
    assert Entry.objects.count() == 3


@pytest.mark.only_on("mysql", "sqlite")
def test_what_executes_is_waited_for_and_not_counted_if_it_commits(gate, start_executor, session):
    start_executor()
    ctx.scheduler.run_after_many(60_000, write, [{"label": "later"}] * 5)
    ctx.scheduler.run_after(0, functions.write_at_gate, gate=gate.path)
    gate.wait_for_arrivals()
    cancel_all = session.begin(cancel_everything)
    session.wait_until_it_waits()
    gate.open()
    assert cancel_all.result(timeout=30) == 5
    assert states() == {State.CANCELED: 5, State.SUCCESS: 1}


@pytest.mark.only_on("postgresql", "mysql")
def test_what_executes_and_is_not_meant_is_let_be(gate, start_executor, session):
    start_executor()
    ctx.scheduler.run_after(0, functions.write_at_gate, gate=gate.path)
    gate.wait_for_arrivals()
    ctx.scheduler.run_after_many(60_000, write, [{"label": "later"}] * 1_200)
    assert session.do(ctx.scheduler.cancel_all, write) == 1_200
    assert not gate.is_open
    gate.open()
    wait_until(lambda: states() == {State.CANCELED: 1_200, State.SUCCESS: 1}, "the other one succeeded")
    assert gate.arrivals == 1


def test_running_actions_are_canceled_and_go_on(gate, start_executor, session):
    start_executor()
    ctx.scheduler.run_after(0, functions.schedule_around_gate, gate=gate.path)
    gate.wait_for_arrivals()
    wait_until(lambda: states() == {State.IN_PROGRESS: 1, State.SUCCESS: 1}, "its first child succeeded")
    assert ctx.scheduler.cancel_all(everything=True) == 1
    gate.open()
    wait_until(lambda: states() == {State.CANCELED: 2, State.SUCCESS: 1}, "its second child was scheduled as canceled")


def test_two_at_the_same_time_count_everything_once(session, another_session, transactional_db):
    ctx.scheduler.run_after_many(60_000, write, [{"label": "later"}] * 1_500)
    both = [session.begin(cancel_everything), another_session.begin(cancel_everything)]
    assert sum(one.result(timeout=30) for one in both) == 1_500
    assert states() == {State.CANCELED: 1_500}
