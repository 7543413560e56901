"""An executor that runs for months keeps nothing of what it has executed, however many queues and statements."""

from threading import Thread

import pytest
from django.db import connection

from django_scheduler import Context, ctx, mutation, pausing
from django_scheduler.databases import session_guard, statements
from django_scheduler.executor import claim_policy, poller
from django_scheduler.executor.poller import Until
from django_scheduler.executor.worker import Worker
from django_scheduler.models import ScheduledFunction
from tests.functions import write
from tests.support.in_process import execute_with_one_worker, one_worker

pytestmark = pytest.mark.django_db(transaction=True)


def schedule_in_queues(names) -> None:
    for name in names:
        function_id = ctx.scheduler.run_after(0, write, label=name)
        ScheduledFunction.objects.filter(pk=function_id).update(queue=name)


def run_in_thread(worker: Worker) -> None:
    """Execute what is due, until nothing is."""
    worker.poller.wake_up()
    worker.stopping.clear()
    thread = Thread(target=worker.run, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_queues_that_come_and_go_are_forgotten(monkeypatch):
    monkeypatch.setattr(claim_policy, "MOST_LANES", 5)
    schedule_in_queues(f"customer {number}" for number in range(12))

    with one_worker() as worker:
        run_in_thread(worker)

    assert not ScheduledFunction.objects.filter(state="pending")
    assert len(worker.grouping_policy._sizes) <= 5


def test_queues_that_were_paused_and_have_nothing_pending_are_forgotten():
    pausing.pause("default")
    schedule_in_queues(["monday", "tuesday"])

    with one_worker() as worker:
        run_in_thread(worker)
        assert worker.poller._paused_queues == {"monday", "tuesday"}

        ctx.scheduler.cancel_all(everything=True)
        run_in_thread(worker)
        assert worker.poller._paused_queues == set()


def test_named_functions_that_no_worker_takes_note_of_do_not_pile_up():
    """All workers execute what takes long, and somebody goes on scheduling."""
    with one_worker(until=Until.STOPPED) as worker:
        for number in range(3 * poller.REMEMBERED):
            ctx.scheduler.run_after(0, write, label=str(number))

        assert len(worker.poller._named) <= poller.REMEMBERED
        worker.poller.until = Until.NOTHING_DUE
        run_in_thread(worker)
    assert not ScheduledFunction.objects.filter(state="pending")


def test_statements_with_values_in_their_texts_are_forgotten(monkeypatch):
    @mutation
    def select_columns(ctx: Context, *, number: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(f'{number} AS column_{number}_{each}' for each in range(20))}")

    monkeypatch.setattr(session_guard, "MOST_REMEMBERED", 20_000)
    ctx.scheduler.run_after_many(0, select_columns, [{"number": number} for number in range(100)])

    execute_with_one_worker()

    assert set(ScheduledFunction.objects.values_list("state", flat=True)) == {"success"}
    assert sum(map(len, session_guard._known[connection.vendor])) <= 20_000


def test_statements_that_differ_only_in_the_number_of_their_parameters_are_examined_once(monkeypatch):
    examined = []

    def examine(sql, vendor):
        examined.append(sql)
        return statements.examine(sql, vendor)

    monkeypatch.setattr(session_guard, "examine", examine)
    monkeypatch.setattr(session_guard, "_known", {})
    guard = session_guard.SessionGuard(connection.vendor)
    for number in range(1, 10):
        guard.let_pass(f"SELECT 1 FROM tests_entry WHERE id IN ({', '.join(['%s'] * number)})")

    assert examined == ["SELECT 1 FROM tests_entry WHERE id IN (%s)"]
    assert guard.is_plain
