"""Many functions and several executors: everything once, whoever is killed meanwhile."""

from functools import partial

import pytest
from django.db import connection
from django.db.models import Count

from django_scheduler import ctx
from django_scheduler.models import Executor, Failure, ScheduledFunction, State
from tests.models import Entry
from tests.processes import functions
from tests.support.soak import SOAK, examples
from tests.support.waiting import wait_until

MANY = 1_000 if connection.vendor == "sqlite" else examples(2_000, 10_000)

#: How many executors are killed under load.
KILLED = 3


def written_twice():
    return Entry.objects.values("function_id").annotate(times=Count("pk")).filter(times__gt=1).count()


@pytest.mark.timeout(240 * SOAK + 60)
def test_two_executors_run_each_of_very_many_mutations_exactly_once(executors):
    both = [executors.start(concurrency=4) for _ in range(2)]

    ctx.scheduler.run_after_many(0, "tests:write", [{"label": str(number)} for number in range(MANY)])

    wait_until(lambda: not pending().exists(), "all were executed", timeout=240 * SOAK)
    assert [executor.stop() for executor in both] == [0, 0]

    assert Entry.objects.count() == MANY
    assert written_twice() == 0
    assert ScheduledFunction.objects.filter(state=State.SUCCESS, attempts=1).count() == MANY
    if connection.vendor != "sqlite":  # whose only lock one of them may hold all the time
        assert ScheduledFunction.objects.values("executor").distinct().count() == 2


@pytest.mark.timeout(120)
def test_executors_that_are_killed_under_load_lose_nothing_double_nothing_and_leave_nothing_stuck(executors):
    mutations = ctx.scheduler.run_after_many(0, functions.work, [{"label": str(number)} for number in range(400)])
    actions = ctx.scheduler.run_after_many(0, functions.toil, [{"label": str(number)} for number in range(200)])

    for _ in range(KILLED):
        victim = executors.start(concurrency=8)
        already = finished().count()
        wait_until(partial(has_finished_more_than, already + 50), "some of the work was done")
        victim.kill()
    assert executors.launch("--drain", concurrency=8).end(timeout=60) == 0

    rows = ScheduledFunction.objects.all()
    assert not rows.filter(state__in=[State.PENDING, State.IN_PROGRESS]).exists()
    assert rows.filter(pk__in=mutations, state=State.SUCCESS).count() == len(mutations)
    assert Entry.objects.filter(function_id__in=mutations).count() == len(mutations)
    assert written_twice() == 0
    lost = rows.filter(pk__in=actions, state=State.FAILED, failure=Failure.LOST)
    succeeded = rows.filter(pk__in=actions, state=State.SUCCESS)
    assert lost.count() + succeeded.count() == len(actions)
    assert lost.count() <= KILLED * 8
    assert set(succeeded.values_list("pk", flat=True)) <= set(Entry.objects.values_list("function_id", flat=True))
    assert not Executor.objects.exists()


def pending():
    return ScheduledFunction.objects.filter(state=State.PENDING)


def finished():
    return ScheduledFunction.objects.filter(completed_time__isnull=False)


def has_finished_more_than(number):
    return finished().count() > number
