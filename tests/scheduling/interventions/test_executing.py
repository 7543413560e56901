"""What is executing right now cannot be moved, and nobody waits for its body."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from django_scheduler import Context, InterventionResult, ctx, mutation
from django_scheduler.errors import AlreadyFinished, AlreadyStarted
from django_scheduler.models import ScheduledFunction, State
from tests.functions import write
from tests.models import Entry
from tests.scheduling.cancellation import functions
from tests.support.in_process import execute_with_one_worker, executing
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

TOMORROW = timedelta(days=1)


@pytest.mark.only_on("postgresql", "mysql")
def test_a_mutation_that_is_executing_is_neither_moved_nor_waited_for(gate):
    with executing(concurrency=1):
        function_id = ctx.scheduler.run_after(0, functions.write_at_gate, gate=gate.path)
        gate.wait_for_arrivals()
        with pytest.raises(AlreadyStarted, match="it is executing, or another transaction is changing it right now"):
            ctx.scheduler.reschedule(function_id, timezone.now() + TOMORROW)
        with pytest.raises(AlreadyStarted):
            ctx.scheduler.run_now(function_id)
        other = ctx.scheduler.run_after(TOMORROW, write, label="other")
        assert ctx.scheduler.reschedule_many([function_id, other], timezone.now() + 2 * TOMORROW) == {
            function_id: InterventionResult.RUNNING,
            other: InterventionResult.DONE,
        }
        assert gate.departures == 0
        gate.open()
        wait_until(lambda: record(function_id).state == State.SUCCESS, "the mutation ended")
    assert record(function_id).attempts == 1


@pytest.mark.only_on("sqlite")
def test_where_rows_are_not_locked_a_mutation_that_is_executing_ends_first(gate, session):
    with executing(concurrency=1):
        function_id = ctx.scheduler.run_after(0, functions.write_at_gate, gate=gate.path)
        gate.wait_for_arrivals()
        moved = session.begin(ctx.scheduler.reschedule, function_id, timezone.now() + TOMORROW)
        session.wait_until_it_waits()
        gate.open()
        assert isinstance(moved.exception(timeout=30), AlreadyFinished)
    assert record(function_id).state == State.SUCCESS


@pytest.mark.only_on("mysql")
def test_what_ended_after_the_snapshot_of_a_transaction_has_finished(session):
    function_id = ctx.scheduler.run_after(TOMORROW, write, label="ended meanwhile")
    connections["default"].close()
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    try:
        with transaction.atomic():
            assert record(function_id).state == State.PENDING
            session.do(ctx.scheduler.cancel, function_id)
            assert record(function_id).state == State.PENDING, "the snapshot is older"
            assert ctx.scheduler.run_now_many([function_id]) == {function_id: InterventionResult.CANCELED}
    finally:
        connection.close()


def test_an_action_that_is_executing_is_not_moved(gate):
    with executing(concurrency=1):
        function_id = ctx.scheduler.run_after(0, functions.schedule_at_gates, gates=[gate.path])
        gate.wait_for_arrivals()
        with pytest.raises(AlreadyStarted, match="in_progress"):
            ctx.scheduler.reschedule(function_id, timezone.now() + TOMORROW)
        gate.open()
        wait_until(lambda: record(function_id).state == State.SUCCESS, "the action ended")


@pytest.mark.parametrize("way", ["reschedule", "reschedule_many"])
def test_what_is_due_with_the_mutation_that_moves_it_runs_at_its_new_time(way):
    """Also if both were claimed for one transaction."""

    @mutation
    def move_the_other(ctx: Context, *, function_id: int) -> None:
        if way == "reschedule":
            ctx.scheduler.reschedule(function_id, timezone.now() + TOMORROW)
        else:
            assert ctx.scheduler.reschedule_many([function_id], timezone.now() + TOMORROW) == {
                function_id: InterventionResult.DONE
            }

    with transaction.atomic():
        fillers = ctx.scheduler.run_after_many(0, write, [{"label": "filler"}] * 30)
        pairs = []
        for number in range(20):
            moving = ctx.scheduler.run_after(0, move_the_other, function_id=0)
            moved = ctx.scheduler.run_after(0, write, label=f"moved {number}")
            ScheduledFunction.objects.filter(pk=moving).update(args={"function_id": moved})
            pairs.append((moving, moved))
    execute_with_one_worker()
    assert {record(moving).state for moving, _ in pairs} == {State.SUCCESS}, record(pairs[0][0]).error
    assert {record(moved).state for _, moved in pairs} == {State.PENDING}
    assert set(Entry.objects.values_list("label", flat=True)) == {"filler"}
    assert Entry.objects.count() == len(fillers)


@pytest.mark.only_on("postgresql", "mysql")
def test_transactions_that_move_the_same_functions_do_not_wait_for_each_other(session):
    first, second = (ctx.scheduler.run_after(TOMORROW, write, label="moved") for _ in range(2))
    session.open_transaction()
    session.do(ctx.scheduler.run_now, second)
    with transaction.atomic():
        ctx.scheduler.run_now(first)
        assert ctx.scheduler.run_now_many([second, first]) == {
            second: InterventionResult.RUNNING,
            first: InterventionResult.DONE,
        }
        assert session.do(ctx.scheduler.run_now_many, [first, second]) == {
            first: InterventionResult.RUNNING,
            second: InterventionResult.DONE,
        }
    session.commit()
    assert ctx.scheduler.run_now_many([first, second]) == dict.fromkeys([first, second], InterventionResult.DONE)


def test_bulk_calls_in_opposite_orders_at_the_same_time_all_come_to_an_end():
    ids = ctx.scheduler.run_after_many(TOMORROW, write, [{"label": "moved"}] * 1_500)

    def move(backwards: bool) -> set[InterventionResult]:
        try:
            results = ctx.scheduler.reschedule_many(ids[::-1] if backwards else ids, timezone.now() + TOMORROW)
            return set(results.values())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(move, [False, True, False, True]))
    assert set().union(*outcomes) <= {InterventionResult.DONE, InterventionResult.RUNNING}
