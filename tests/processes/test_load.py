"""Many functions and several executors: everything once, whoever is killed meanwhile."""

import pytest
from django.db import connection
from django.db.models import Count

from django_scheduler import ctx
from django_scheduler.models import Executor, Failure, ScheduledFunction, State
from tests.models import Entry
from tests.processes import functions
from tests.support.soak import IS_SOAK, SOAK, examples
from tests.support.waiting import wait_until

MANY = 1_000 if connection.vendor == "sqlite" else examples(1_000, 10_000)

#: How many members the batch has at first.
MEMBERS = examples(200, 1_000)

#: How many executors are killed under load.
KILLED = 3 if IS_SOAK else 2


def written_twice():
    return Entry.objects.values("function_id").annotate(times=Count("pk")).filter(times__gt=1).count()


@pytest.mark.timeout(240 * SOAK + 60)
def test_two_executors_run_each_of_very_many_mutations_exactly_once(executors, gate):
    both = [executors.start(concurrency=4) for _ in range(2)]
    # So that both begin with the mutations at the same time: a quick one would have done them before a slow one looked.
    ctx.scheduler.run_after_many(0, functions.note_and_wait, [{"label": "gate", "gate": gate.path}] * 8)
    gate.wait_for_arrivals(8)

    many = ctx.scheduler.run_after_many(0, "tests:write", [{"label": str(number)} for number in range(MANY)])
    gate.open()

    wait_until(lambda: not pending().exists(), "all were executed", timeout=240 * SOAK)
    assert [executor.stop() for executor in both] == [0, 0]

    assert Entry.objects.exclude(label="gate").count() == MANY
    assert written_twice() == 0
    assert ScheduledFunction.objects.filter(pk__in=many, state=State.SUCCESS, attempts=1).count() == MANY
    assert {*gate.process_ids} == {executor.process_id for executor in both}


@pytest.mark.timeout(120)
def test_executors_that_are_killed_under_load_lose_nothing_double_nothing_and_leave_nothing_stuck(executors):
    number = 400 if IS_SOAK else 200
    mutations = ctx.scheduler.run_after_many(0, functions.work, [{"label": str(each)} for each in range(number)])
    actions = ctx.scheduler.run_after_many(0, functions.toil, [{"label": str(each)} for each in range(number // 2)])

    for _ in range(KILLED):
        kill_under_load(executors, count=1, concurrency=8, after=50)
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


@pytest.mark.timeout(120)
def test_batch_ends_once_after_its_last_member_whoever_is_killed_meanwhile(executors):
    labels = [{"label": str(number)} for number in range(MEMBERS // 4)]
    with ctx.scheduler.batch(on_complete=functions.note_end_of_batch) as batch:
        for function in (functions.work, functions.toil, functions.work_and_add, functions.toil_and_add):
            batch.run_after_many(0, function, labels)

    for _ in range(KILLED):
        kill_under_load(executors, count=2, concurrency=4, after=MEMBERS // 10)
    assert executors.launch("--drain", concurrency=8).end(timeout=60) == 0

    members = ScheduledFunction.objects.filter(batch=batch.id)
    succeeded, failed = members.filter(state=State.SUCCESS).count(), members.filter(failure=Failure.LOST).count()
    (ended,) = Entry.objects.filter(label__contains="unfinished")
    total = succeeded + failed
    assert ended.label == f"{total} of {total}, 0 unfinished: {succeeded} {failed} 0"
    assert total >= MEMBERS + 2 * len(labels)


def pending():
    return ScheduledFunction.objects.filter(state=State.PENDING)


def finished():
    return ScheduledFunction.objects.filter(completed_time__isnull=False)


def kill_under_load(executors, *, count, concurrency, after):
    """Start executors, and kill them once they have ended so many functions, or all that there are."""
    already = finished().count()  # before they start: a quick one is done before a slow one has started
    victims = [executors.launch(concurrency=concurrency) for _ in range(count)]
    wait_until(lambda: finished().count() >= already + after or not pending().exists(), "some of the work was done")
    for victim in victims:
        victim.kill()
