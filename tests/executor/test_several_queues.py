"""What is due in several queues is claimed together, in the order of priorities and nearly in that of due times."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F

from django_scheduler import Context, action, ctx, mutation, pausing
from django_scheduler.databases import TABLE, Lane, Wanted, database_for
from django_scheduler.functions import Function
from django_scheduler.models import ScheduledFunction, ScheduledFunctionId, State
from tests.executor.protocol import protocol_of_worker
from tests.support.in_process import executing
from tests.support.statements import statements_through
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

#: What has started, in that order.
starts: list[int] = []


@pytest.fixture(autouse=True)
def _no_starts() -> None:
    starts.clear()


@mutation
def start_in_a_queue(ctx: Context, *, number: int) -> None:
    starts.append(number)


@mutation(alone=True)
def start_alone_in_a_queue(ctx: Context, *, number: int) -> None:
    starts.append(number)


@action
def start_in_a_queue_as_an_action(ctx: Context, *, number: int) -> None:
    starts.append(number)


def schedule(count: int, *, queues: int, function: Function = start_in_a_queue) -> list[ScheduledFunctionId]:
    """Schedule functions one after the other, each in the next one of so many queues."""
    ids = ctx.scheduler.run_after_many(0, function, [{"number": number} for number in range(count)])
    for number, function_id in enumerate(ids):
        ScheduledFunction.objects.filter(pk=function_id).update(queue=f"queue {number % queues:03}")
    return ids


def make_due_earlier(function_id: ScheduledFunctionId, seconds: float) -> None:
    ScheduledFunction.objects.filter(pk=function_id).update(due_time=F("due_time") - timedelta(seconds=seconds))


def lanes_in_order() -> list[Lane]:
    return sorted(database_for("default").lanes(), key=lambda lane: (-lane.priority, lane.due_time, lane.first_id))


def test_functions_of_many_queues_share_transactions(execute_due, groups, growing_groups):
    schedule(100, queues=100)

    execute_due()

    assert [len(each) for each in groups] == [2, 4, 8, 16, 32, 37]  # after one that was alone
    assert starts == list(range(100))


def test_a_few_large_backlogs_share_them_too(execute_due, groups, growing_groups):
    schedule(100, queues=5)

    execute_due()

    assert len(groups) <= 8
    assert sorted(starts) == list(range(100))
    assert all(starts.index(number) < starts.index(number + 5) for number in range(95))  # the order of each queue


@pytest.mark.only_on("postgresql")
def test_what_is_claimed_in_many_queues_costs_as_many_statements_as_in_one(tmp_path, growing_groups):
    schedule(100, queues=100)

    with protocol_of_worker(tmp_path / "protocol") as protocol, executing(concurrency=1):
        succeeded = ScheduledFunction.objects.filter(state=State.SUCCESS)
        wait_until(lambda: succeeded.count() == 100, "all of them succeeded")

    executed = [each for each in protocol.transactions if "UPDATE" in each]
    assert executed[0] == ["BEGIN", "SELECT", "UPDATE", "COMMIT"]
    assert executed[1:] == [["BEGIN", "SELECT", "SELECT", "SET", "UPDATE", "COMMIT"]] * 6


def test_those_of_a_higher_priority_come_first(execute_due):
    ids = schedule(40, queues=20)
    ScheduledFunction.objects.filter(pk__in=ids[30:]).update(priority=1)

    execute_due()

    assert starts == [*range(30, 40), *range(30)]


def test_a_large_backlog_holds_up_no_queue_whose_few_functions_are_as_late(execute_due, growing_groups):
    ids = schedule(220, queues=220)
    ScheduledFunction.objects.filter(pk__in=ids[:200]).update(queue="backlog")
    ScheduledFunction.objects.update(due_time=ScheduledFunction.objects.get(pk=ids[0]).due_time)

    execute_due()

    assert sorted(starts) == list(range(220))
    assert max(starts.index(number) for number in range(200, 220)) < 100
    assert [number for number in starts if number < 200] == list(range(200))


def test_what_is_due_much_earlier_comes_first_whatever_its_queue(execute_due):
    ids = schedule(40, queues=20)
    for function_id in ids[7::20]:  # both of one queue
        make_due_earlier(function_id, 60)
    make_due_earlier(ids[33], 30)

    execute_due()

    assert starts[:2] == [7, 27]
    assert starts.index(33) < 10 or starts.index(13) < 10
    assert sorted(starts) == list(range(40))


def test_a_paused_queue_waits_and_the_others_are_executed_together(execute_due, groups, growing_groups):
    schedule(50, queues=50)
    pausing.pause("default", "queue 020")

    execute_due()

    assert sorted({*range(50)} - {*starts}) == [20]
    assert len(groups) <= 6
    pausing.resume("default", "queue 020")
    execute_due()
    assert starts[-1] == 20


def test_a_queue_that_is_paused_after_the_look_is_not_claimed_in():
    schedule(5, queues=5)
    lanes = lanes_in_order()
    pausing.pause("default", "queue 002")

    with transaction.atomic():
        claimed = database_for("default").claim_in_several(lanes, Wanted(), most=5, of_each=1)

    assert [each.queue for each in claimed] == ["queue 000", "queue 001", "queue 003", "queue 004"]


def test_what_is_canceled_after_the_look_is_not_claimed():
    ids = schedule(5, queues=5)
    lanes = lanes_in_order()
    ctx.scheduler.cancel(ids[1])

    with transaction.atomic():
        claimed = database_for("default").claim_in_several(lanes, Wanted(), most=5, of_each=1)

    assert [each.id for each in claimed] == [ids[0], *ids[2:]]


def test_what_is_wanted_holds_in_each_of_the_queues():
    ids = schedule(10, queues=5)
    ScheduledFunction.objects.filter(pk=ids[1]).update(attempts=1)
    lanes = lanes_in_order()

    with transaction.atomic():
        wanted = Wanted(before=lanes[4], besides=[ids[0]], unhealthy=["tests:another"])
        claimed = database_for("default").claim_in_several(lanes[:4], wanted, most=8, of_each=2)

    assert [each.id for each in claimed] == ids[2:4]  # and what is due after the first one of the fifth queue is not


@pytest.mark.only_on("postgresql", "mysql")
def test_nothing_is_locked_that_is_not_claimed():
    ids = schedule(30, queues=10)
    lanes = lanes_in_order()
    database = database_for("default")
    other = connection.copy()
    try:
        with transaction.atomic(), other.cursor() as cursor:
            claimed = database.claim_in_several(lanes, Wanted(), most=7, of_each=2)
            cursor.execute(f"SELECT id FROM {TABLE} FOR UPDATE SKIP LOCKED")
            free = {row[0] for row in cursor.fetchall()}
    finally:
        other.close()

    assert [each.id for each in claimed] == sorted([*ids[:4], *ids[10:13]])
    assert len(claimed) == 7
    assert {*ids} - free == {each.id for each in claimed}


def test_one_that_has_to_run_alone_keeps_its_queue_apart(execute_due, groups, growing_groups):
    ids = schedule(40, queues=20)
    alone = schedule(2, queues=1, function=start_alone_in_a_queue)
    ScheduledFunction.objects.filter(pk__in=alone).update(queue="alone")
    make_due_earlier(alone[0], 0.0)

    execute_due()

    assert not {*alone} & {each for group in groups for each in group}
    assert len(starts) == 42
    assert len(groups) <= 10
    assert ScheduledFunction.objects.filter(pk__in=[*ids, *alone], state=State.SUCCESS).count() == 42


@pytest.mark.only_on("postgresql", "mysql")
def test_actions_of_several_queues_begin_together():
    begun: list[int] = []

    def note(execute, sql, params, many, context):
        if sql.startswith("UPDATE") and "in_progress" in str(params):
            begun.append(sum(1 for each in params if isinstance(each, int)))
        return execute(sql, params, many, context)

    with statements_through(note), executing(concurrency=4) as executor:
        wait_until(lambda: executor._claim_lock.idle == 3, "all workers are there")
        with transaction.atomic():
            schedule(40, queues=40, function=start_in_a_queue_as_an_action)
        succeeded = ScheduledFunction.objects.filter(state=State.SUCCESS)
        wait_until(lambda: succeeded.count() == 40, "all of them succeeded")

    assert sorted(starts) == list(range(40))
    assert len(begun) < 40


def test_two_executors_share_the_work_and_execute_each_once():
    schedule(300, queues=100)

    with executing(concurrency=1), executing(concurrency=1):
        succeeded = ScheduledFunction.objects.filter(state=State.SUCCESS)
        wait_until(lambda: succeeded.count() == 300, "all of them succeeded")

    assert sorted(starts) == list(range(300))


@pytest.mark.only_on("postgresql")
def test_what_comes_after_is_claimed_where_all_that_is_near_is_locked(execute_due):
    """Although it is due much later: somebody else executes what is due before."""
    ids = schedule(12, queues=4)
    for function_id in ids[:8]:
        make_due_earlier(function_id, 60)
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(f"SELECT id FROM {TABLE} WHERE id IN ({', '.join(map(str, ids[:8]))}) FOR UPDATE")
        execute_due()
        other.rollback()
    finally:
        other.close()

    assert sorted(starts) == [8, 9, 10, 11]
