"""A mutation whose time is up within a group fails alone; its neighbors succeed, each exactly once."""

import pytest

from django_scheduler import Context, ctx, mutation
from django_scheduler.models import Failure, State
from tests.executor.budgets.clock import time_begins
from tests.executor.budgets.test_mutations import hang_at_gate, loop_in_python
from tests.functions import write
from tests.models import Entry
from tests.support.in_process import execute_with_one_worker, executing
from tests.support.records import record
from tests.support.waiting import wait_until

attempts: list[str] = []


@mutation(timeout=0.2)
def loop_in_a_group(ctx: Context) -> None:
    attempts.append("begun")
    Entry.objects.create(label="never")
    time_begins()
    loop_in_python()


def labels() -> list[str]:
    return sorted(Entry.objects.values_list("label", flat=True))


@pytest.mark.usefixtures("time_begins_when_told")
def test_member_whose_time_is_up_fails_alone_and_does_not_run_again(backlog, groups):
    attempts.clear()
    first = ctx.scheduler.run_after(0, write, label="first")
    late = ctx.scheduler.run_after(0, loop_in_a_group)
    last = ctx.scheduler.run_after(0, write, label="last")

    execute_with_one_worker()

    assert [first, late, last] in groups
    assert (record(late).state, record(late).failure, record(late).attempts) == (State.FAILED, Failure.TIMEOUT, 1)
    assert record(late).error.startswith("TimedOut: ")
    assert attempts == ["begun"]
    assert labels() == ["first", "last"]
    assert (record(first).attempts, record(last).attempts) == (1, 1)


@pytest.mark.usefixtures("short_grace")
def test_neighbors_of_a_member_that_hangs_are_executed_by_another_worker(backlog, groups, gate):
    first = ctx.scheduler.run_after(0, write, label="first")
    late = ctx.scheduler.run_after(0, hang_at_gate, gate=gate.path)
    last = ctx.scheduler.run_after(0, write, label="last")

    with executing(concurrency=2):
        wait_until(lambda: record(late).state == State.FAILED, "the timeout was recorded")
        wait_until(lambda: record(first).state == record(last).state == State.SUCCESS, "its neighbors succeeded")
        gate.open()

    assert record(late).failure == Failure.TIMEOUT
    assert labels() == ["first", "last"]
