"""What is going on now: what waits and for how long, what runs, what has ended, and who is alive."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from django_scheduler import Context, ctx, mutation
from django_scheduler.models import Executor
from django_scheduler.status import status
from tests.admin import limited_functions  # noqa: F401  (declares rate limits)
from tests.functions import note, write, write_and_raise, write_with_priority
from tests.status.records import be_due_for, complete_earlier, put_silent_executor_on_record
from tests.support.in_process import executing

pytestmark = pytest.mark.django_db(transaction=True)


@mutation(fair_key="tenant")
def write_for_tenant(ctx: Context, *, tenant: int) -> None: ...


def test_nothing_at_all():
    now = status()

    assert (now.pending, now.due, now.lag, now.running) == (0, 0, 0.0, 0)
    assert now.ended_per_minute.finished == 0
    assert (now.queues, now.executors) == ((), ())


def test_pending_functions_are_counted_and_those_of_them_that_are_due():
    ctx.scheduler.run_after_many(0, write, [{"label": "due"}] * 2)
    ctx.scheduler.run_after(timedelta(hours=1), write, label="later")
    ctx.scheduler.run_after(timedelta(hours=1), write_with_priority, label="of another queue")

    now = status()

    assert [(each.queue, each.pending, each.due) for each in now.queues] == [("default", 3, 2), ("email", 1, 0)]
    assert (now.pending, now.due) == (4, 2)


def test_lag_is_the_age_of_the_oldest_due_function_of_any_queue():
    be_due_for(ctx.scheduler.run_after(0, write, label="recent"), 100)
    be_due_for(ctx.scheduler.run_after(0, write_with_priority, label="old"), 1_000)
    ctx.scheduler.run_after(timedelta(hours=1), write, label="later")

    now = status()

    assert 1_000 <= now.lag < 1_100
    assert 100 <= now.queues[0].lag < 200


def test_what_lies_in_the_future_has_no_lag():
    ctx.scheduler.run_after(timedelta(hours=1), write, label="later")

    assert status().lag == 0.0


def test_counting_stops_where_it_would_take_long(monkeypatch):
    monkeypatch.setattr("django_scheduler.status.reading.MOST_COUNTED", 3)
    ctx.scheduler.run_after_many(0, write, [{"label": "due"}] * 5)
    ctx.scheduler.run_after(0, write_with_priority, label="of another queue")

    now = status()

    assert [(each.pending, each.due) for each in now.queues] == [(3, 3), (1, 1)]


@pytest.mark.parametrize("function", ["tests:write_at_gate", "tests:wait_at_gate_and_fail"])
def test_what_is_executing_is_no_lag(gate, function):
    if connection.vendor != "postgresql" and function == "tests:write_at_gate":
        pytest.skip("elsewhere an executing mutation counts as lag")
    be_due_for(ctx.scheduler.run_after(0, function, gate=gate.path), 1_000)
    with executing(concurrency=1):
        gate.wait_for_arrivals()
        assert status().lag == 0.0
        gate.open()


def test_running_actions_are_counted(gate):
    ctx.scheduler.run_after_many(0, "tests:wait_at_gate_and_fail", [{"gate": gate.path}] * 2)
    with executing(concurrency=2):
        gate.wait_for_arrivals(2)
        assert status().running == 2
        gate.open()
    assert status().running == 0


def test_what_ended_within_the_last_minute_is_counted_by_how_it_ended(execute_due):
    ctx.scheduler.run_after_many(0, note, [{"label": "noted"}] * 3)
    ctx.scheduler.run_after(0, write_and_raise, label="failed")
    ctx.scheduler.cancel(ctx.scheduler.run_after(0, write, label="canceled"))
    old_id = ctx.scheduler.run_after(0, note, label="long ago")
    execute_due()
    complete_earlier(old_id, timedelta(minutes=2))

    ended = status().ended_per_minute

    assert (ended.succeeded, ended.failed, ended.canceled, ended.finished) == (3, 1, 1, 4)


def test_executors_are_alive_until_their_heartbeat_is_overdue():
    with executing(concurrency=3, queues=["default", "email"]) as executor:
        (known,) = status().executors
        assert (known.name, known.concurrency, known.queues) == (executor.name, 3, ("default", "email"))
        assert known.is_alive
        assert status().living_executors == 1


def test_executor_that_has_been_silent_for_too_long_is_stale():
    put_silent_executor_on_record()

    (known,) = status().executors

    assert not known.is_alive
    assert known.silence >= 60
    assert status().living_executors == 0


def test_executor_of_a_later_version_may_say_more_of_what_it_executes():
    later = {"id": 1, "name": "shop:pay", "is_given_up": True, "since": "noon"}
    put_silent_executor_on_record()
    Executor.objects.update(running=[later, {"id": 2, "name": "shop:send"}])

    (executor,) = status().executors

    assert [(each.id, each.is_given_up) for each in executor.running] == [(1, True), (2, False)]
    assert executor.held_threads == 1


def test_reading_it_takes_few_statements_and_writes_nothing():
    ctx.scheduler.run_after_many(0, write, [{"label": "due"}] * 20)

    with CaptureQueriesContext(connection) as statements:
        status()

    # The lanes, one for the only lane, pauses, running, ended, executors, batches; and of limits what they are set to,
    # what waits, what runs, and what has begun.
    assert len(statements) == 11
    assert all(each["sql"].lstrip().startswith(("SELECT", "WITH")) for each in statements)


@pytest.mark.only_on("postgresql")
def test_every_statement_finds_what_it_looks_for_through_an_index():
    ctx.scheduler.run_after_many(timedelta(hours=1), write, [{"label": "later"}] * 100)
    with CaptureQueriesContext(connection) as statements:
        status()

    for statement in statements.captured_queries:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")  # a table this small is read as a whole
            cursor.execute(f"EXPLAIN {statement['sql']}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "Seq Scan on django_scheduler_scheduledfunction" not in plan, plan


def test_what_many_tenants_have_waiting_is_counted_together():
    bulk = ctx.scheduler.options(queue="bulk")
    ids = bulk.run_after_many(0, write_for_tenant, [{"tenant": tenant} for tenant in range(30)])
    for function_id in ids:
        be_due_for(function_id, 100)
    be_due_for(ids[20], 900)
    bulk.run_after(timedelta(hours=1), write_for_tenant, tenant=30)
    bulk.options(priority=1).run_after(0, write_for_tenant, tenant=0)

    (queue,) = status().queues

    assert (queue.queue, queue.pending, queue.due, queue.has_unknown) == ("bulk", 32, 31, False)
    assert 1_000 <= queue.lag < 1_100
