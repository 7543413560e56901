"""An executor that ends when nothing is due has executed everything, also what was locked when it came to it."""

from datetime import timedelta
from itertools import count
from threading import Event

import pytest
from django.db import transaction
from django.db.models import F

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.executor import Until
from django_scheduler.executor.claim_policy import GroupSize
from django_scheduler.executor.poller import Poller
from django_scheduler.executor.worker import Worker
from django_scheduler.models import ScheduledFunction, State
from tests.support.gates import Gate
from tests.support.in_process import executing
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.only_on("postgresql", "mysql")]

#: The functions that have ended a group.
ended_groups: set[int | None] = set()


@mutation
def lock_and_wait(ctx: Context, *, other: int, gate: str) -> None:
    """Until it commits, the other function is locked."""
    ScheduledFunction.objects.select_for_update().get(pk=other)
    Gate(gate).pass_through()


@action
def come_after_it(ctx: Context) -> None: ...


def test_what_a_worker_had_locked_that_ends_meanwhile_is_executed_before_the_executor_ends(gate, monkeypatch):
    look, found_all_locked = Poller._look, Poller.found_all_locked

    def look_once_it_is_locked(poller, *arguments):
        if poller.executing_ids():
            gate.wait_for_arrivals()
        return look(poller, *arguments)

    def let_the_other_worker_end_first(poller, due):
        gate.open()
        wait_until(lambda: not poller.executing_ids(), "the other worker ended")
        found_all_locked(poller, due)

    monkeypatch.setattr(Poller, "_look", look_once_it_is_locked)
    monkeypatch.setattr(Poller, "found_all_locked", let_the_other_worker_end_first)
    with transaction.atomic():
        function_id = ctx.scheduler.run_after(0, come_after_it)
        locking_id = ctx.scheduler.run_after(0, lock_and_wait, other=function_id, gate=gate.path)
        due_first = F("due_time") - timedelta(hours=1)
        ScheduledFunction.objects.filter(pk=locking_id).update(due_time=due_first)
    with executing(concurrency=2, until=Until.NOTHING_DUE) as executor:
        assert executor.wait(timeout=20)

    assert record(function_id).state == State.SUCCESS


@mutation
def come_first(ctx: Context) -> None: ...


@mutation
def end_the_group_and_then_schedule(ctx: Context, *, gate: str) -> None:
    if ctx.function_id not in ended_groups:
        ended_groups.add(ctx.function_id)
        raise ValueError("It is not to share a transaction.")
    Gate(gate).pass_through()
    ctx.scheduler.run_after(0, come_after_it)


def test_what_a_member_of_a_group_schedules_that_runs_alone_is_executed_before_the_executor_ends(gate, monkeypatch):
    due_lanes, found_all_locked, execute_alone = Poller.due_lanes, Poller.found_all_locked, Worker._execute_alone
    between_two_members, has_looked, calls = Event(), Event(), count()

    def look_between_two_members(poller):
        if next(calls) != 1:
            return due_lanes(poller)
        assert between_two_members.wait(20)
        due = due_lanes(poller)
        has_looked.set()
        gate.wait_for_arrivals()
        return due

    def let_the_other_worker_look_before_the_last_one(worker, function_id):
        if function_id == last_id:
            between_two_members.set()
            assert has_looked.wait(20)
        execute_alone(worker, function_id)

    def let_the_last_one_go_on(poller, due):
        gate.open()
        found_all_locked(poller, due)

    monkeypatch.setattr(Poller, "due_lanes", look_between_two_members)
    monkeypatch.setattr(Poller, "found_all_locked", let_the_last_one_go_on)
    monkeypatch.setattr(Worker, "_execute_alone", let_the_other_worker_look_before_the_last_one)
    monkeypatch.setattr(GroupSize, "to_claim", lambda size, *, idle: 2)
    with transaction.atomic():
        ctx.scheduler.run_after(0, come_first)
        last_id = ctx.scheduler.run_after(0, end_the_group_and_then_schedule, gate=gate.path)
    with executing(concurrency=2, until=Until.NOTHING_DUE) as executor:
        assert executor.wait(timeout=20)

    assert record(last_id).state == State.SUCCESS
    assert ScheduledFunction.objects.get(parent=last_id).state == State.SUCCESS
