"""What else happens to executors: two of them, of which one dies; clocks that are wrong; bodies without an end."""

import os
import random
import signal
import threading
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.errors import AlreadyFinished
from django_scheduler.models import Executor, Failure, ScheduledFunction, State
from tests.crash import functions
from tests.support.records import record
from tests.support.soak import IS_SOAK, SOAK, examples
from tests.support.waiting import wait_until

HOUR = 3600


@pytest.mark.timeout(120)
def test_one_of_two_supervisors_is_killed_with_all_of_its_processes(supervise, ledger):
    posts = ledger.schedule_posts(
        150 if IS_SOAK else 60, functions.post_slowly if connection.vendor != "sqlite" else functions.post
    )
    victim = supervise(processes=2, concurrency=2)
    processes = victim.process_ids
    survivor = supervise(processes=1, concurrency=4, HEARTBEAT_INTERVAL=0.3)
    for process_id in [victim.supervisor.process_id, *processes]:
        os.kill(process_id, signal.SIGKILL)
    victim.end()
    ledger.wait_until_all_is_decided()
    wait_until(lambda: not Executor.objects.filter(process_id__in=processes).exists(), "they were noticed")
    assert survivor.stop() == 0
    ledger.check()
    assert ScheduledFunction.objects.filter(pk__in=posts, state=State.SUCCESS).count() == len(posts)


@pytest.mark.timeout(120)
def test_processes_that_are_killed_again_and_again_under_load(supervise, ledger):
    posts = ledger.schedule_posts(examples(120, 300))
    supervised = supervise(processes=2, concurrency=3)
    for number in range(4 * SOAK):
        supervised.kill_one(signal.SIGKILL, signal.SIGTERM)
        supervised.wait_until_executing(number + 3)
    ledger.wait_until_all_is_decided(60 * SOAK)
    assert supervised.stop() == 0
    ledger.check()
    assert ScheduledFunction.objects.filter(pk__in=posts, state=State.SUCCESS).count() == len(posts)


@pytest.mark.only_on("postgresql", "mysql")  # with SQLite all processes have the clock of one host
@pytest.mark.parametrize("seconds", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_host_whose_clock_is_wrong_executes_in_time_and_takes_nobody_for_gone(
    supervise, ledger, child_environment, seconds
):
    right = supervise("--queue=elsewhere", HEARTBEAT_INTERVAL=0.2, HEARTBEAT_TIMEOUT=60)
    Executor.objects.update(process_space="another host")
    child_environment["TEST_CLOCK_OFFSET"] = str(seconds)
    wrong = supervise(HEARTBEAT_INTERVAL=0.2, HEARTBEAT_TIMEOUT=60)
    soon_id = ctx.scheduler.run_after(500, functions.tell)
    later_id = ctx.scheduler.run_after(timedelta(minutes=30), functions.tell)

    wait_until(lambda: record(soon_id).state == State.SUCCESS, "it ran in its time")

    row = record(soon_id)
    assert row.started_time
    assert row.completed_time
    assert row.started_time >= row.due_time
    assert abs(row.completed_time - timezone.now()) < timedelta(minutes=5)
    beats = set(Executor.objects.values_list("heartbeat_time", flat=True))
    wait_until(
        lambda: beats.isdisjoint(Executor.objects.values_list("heartbeat_time", flat=True)),
        "both executors write heartbeats again",
    )
    assert Executor.objects.count() == 2
    assert record(later_id).state == State.PENDING
    assert (right.stop(), wrong.stop()) == (0, 0)
    assert "taken for gone" not in right.log + wrong.log


def test_body_that_comes_to_the_limit_of_memory_fails_and_others_go_on(supervise, ledger):
    exhausting_id = ctx.scheduler.run_after(0, functions.exhaust_memory)
    posts = ledger.schedule_posts(5)
    supervised = supervise()
    ledger.wait_until_all_is_decided()
    assert supervised.stop() == 0
    ledger.check()
    assert (record(exhausting_id).failure, record(exhausting_id).error) == (Failure.ERROR, "MemoryError")
    assert ScheduledFunction.objects.filter(pk__in=posts, state=State.SUCCESS).count() == len(posts)


def test_bodies_without_an_end_are_cut_off_when_the_grace_is_over(supervise, ledger, gate, executors):
    action_id = ctx.scheduler.run_after(0, functions.loop_in_an_action, gate=gate.path)
    supervised = supervise("--grace=0.3")
    wait_until(lambda: gate.arrivals == 1, "the action looped")
    mutation_id = ctx.scheduler.run_after(0, functions.loop, gate=gate.path)
    wait_until(lambda: gate.arrivals == 2, "the mutation looped")
    assert supervised.stop() == 1
    ctx.scheduler.cancel(mutation_id)
    assert executors.launch("--once").end() == 0  # where SQLite's only lock was held, the action is recorded now
    assert record(action_id).failure == Failure.LOST
    ledger.check()


@pytest.mark.only_on("postgresql", "mysql")
@pytest.mark.timeout(120)
def test_fifty_cancels_at_once_of_what_executes(supervise, ledger):
    ids = ledger.schedule_posts(60, functions.post_slowly)
    ids += ctx.scheduler.run_after_many(0, functions.tell_slowly, [{}] * 20)
    chosen = random.sample(ids, 50)
    canceled = []
    supervised = supervise(concurrency=8)
    wait_until(lambda: ScheduledFunction.objects.filter(state=State.SUCCESS).exists(), "it executed")

    def cancel(function_id):
        try:
            ctx.scheduler.cancel(function_id)
            canceled.append(function_id)
        except AlreadyFinished:
            pass
        finally:
            connections.close_all()

    threads = [threading.Thread(target=cancel, args=[function_id]) for function_id in chosen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    ledger.wait_until_all_is_decided()
    assert supervised.stop() == 0
    ledger.check()
    rows = ScheduledFunction.objects.in_bulk(ids)
    assert {row.pk for row in rows.values() if row.state == State.CANCELED} == set(canceled)
    assert all(row.state in (State.SUCCESS, State.CANCELED) for row in rows.values())
