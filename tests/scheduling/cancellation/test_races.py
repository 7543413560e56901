"""Many cancels, many executors, and everybody at the same time."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections, transaction

from django_scheduler import ctx
from django_scheduler.errors import AlreadyFinished
from django_scheduler.models import ScheduledFunction, State
from tests.functions import write
from tests.models import Entry
from tests.scheduling.cancellation import functions
from tests.support.records import record
from tests.support.waiting import wait_until


def outcome_of_cancel(function_id: int) -> str:
    try:
        ctx.scheduler.cancel(function_id)
    except AlreadyFinished:
        return "finished"
    finally:
        connections.close_all()
    return "canceled"


def test_two_cancels_at_the_same_time_both_succeed(transactional_db):
    ids = ctx.scheduler.run_after_many(0, write, [{"label": "never"}] * 10)
    with ThreadPoolExecutor(2) as threads:
        for function_id in ids:
            assert list(threads.map(outcome_of_cancel, [function_id] * 2)) == ["canceled"] * 2
    assert {record(function_id).state for function_id in ids} == {State.CANCELED}


def test_what_is_canceled_leaves_nothing_and_what_is_not_happens_once(start_executor, transactional_db):
    number = 20 if connection.vendor == "sqlite" else 100
    ids = ctx.scheduler.run_after_many(0, write, [{"label": str(number)} for number in range(number)])
    start_executor(concurrency=4)
    start_executor(concurrency=4)
    order = random.sample(ids, len(ids))
    with ThreadPoolExecutor(2 if connection.vendor == "sqlite" else 6) as threads:
        outcomes = dict(zip(order, threads.map(outcome_of_cancel, order), strict=True))
    states = dict(ScheduledFunction.objects.values_list("pk", "state"))
    expected = {"canceled": State.CANCELED, "finished": State.SUCCESS}
    assert states == {function_id: expected[outcome] for function_id, outcome in outcomes.items()}
    written = Counter(Entry.objects.values_list("function_id", flat=True))
    assert written == Counter(function_id for function_id, outcome in outcomes.items() if outcome == "finished")


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("function", [functions.sleep_in_statement, functions.write_at_gate])
def test_fifty_cancels_of_executing_mutations_at_the_same_time(function, gate, start_executor):
    executing, waiting = 10, 40
    ids = ctx.scheduler.run_after_many(0, function, [{"gate": gate.path}] * (executing + waiting))
    for _ in range(2):  # which claim at once what the other one has to let go of
        start_executor(concurrency=executing // 2)
    gate.wait_for_arrivals(executing)
    with ThreadPoolExecutor(10) as threads:
        assert set(threads.map(outcome_of_cancel, ids)) == {"canceled"}
    gate.open()
    assert {record(function_id).state for function_id in ids} == {State.CANCELED}
    assert not Entry.objects.exists()


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("function", [functions.sleep_in_statement, functions.write_at_gate])
def test_cancel_wins_against_many_executors_that_want_the_same_function(function, gate, start_executor):
    for _ in range(4):
        start_executor(concurrency=1)
    function_id = ctx.scheduler.run_after(0, function, gate=gate.path)
    gate.wait_for_arrivals()
    ctx.scheduler.run_after_many(0, write, [{"label": "other"}] * 300)  # keeps all of them looking for work
    ctx.scheduler.cancel(function_id)
    assert record(function_id).state == State.CANCELED
    gate.open()
    wait_until(lambda: Entry.objects.count() == 300, "the others ran")
    assert set(Entry.objects.values_list("label", flat=True)) == {"other"}


@pytest.mark.only_on("postgresql")
def test_two_mutations_that_cancel_each_other_come_to_an_end(gate, start_executor):
    start_executor(concurrency=2)
    start_executor(concurrency=2)
    first, second = (
        ctx.scheduler.run_after(60_000, functions.cancel_and_wait_at_gate, gate=gate.path, function_id=0)
        for _ in range(2)
    )
    with transaction.atomic():  # so that none begins before both are due
        for one, other in ((first, second), (second, first)):
            rows = ScheduledFunction.objects.filter(pk=one)
            rows.update(args={"function_id": other, "gate": gate.path}, due_time=record(one).creation_time)
    gate.open()
    ctx.scheduler.run_after(0, write, label="a wake-up")
    wait_until(lambda: {record(first).state, record(second).state} <= {"success", "canceled", "failed"}, "both ended")
    outcomes = {record(first).state, record(second).state}
    if "failed" in outcomes:  # it came when the other one had committed
        failed = next(function for function in (record(first), record(second)) if function.state == State.FAILED)
        assert failed.error.startswith("AlreadyFinished")
    assert State.SUCCESS in outcomes
