"""Who follows a function from its call to its commit has few files to read."""

import pytest

from django_scheduler import Context, ctx, mutation
from django_scheduler.models import ScheduledFunction, State
from tests.support.files_entered import files_entered, files_entered_by_threads
from tests.support.in_process import executing
from tests.support.waiting import wait_until


@mutation
def do_nothing_and_be_followed(ctx: Context, *, number: int) -> None: ...


def schedule(number):
    function_id = ctx.scheduler.run_after(0, do_nothing_and_be_followed, number=number)
    return ScheduledFunction.objects.filter(pk=function_id, state=State.SUCCESS)


@pytest.mark.django_db
def test_scheduling_a_function_enters_at_most_ten_files():
    schedule(number=0)  # what happens once in a process does not count
    scheduler = ctx.scheduler

    with files_entered() as files:
        scheduler.run_after(0, do_nothing_and_be_followed, number=1)

    assert len(files) <= 10, sorted(files)


def test_executing_a_mutation_from_its_wake_up_to_its_commit_enters_at_most_twenty_files(transactional_db):
    with (
        files_entered_by_threads("django_scheduler worker", since="due_lanes", until="after_commit") as entered,
        executing(concurrency=1),
    ):
        wait_until(schedule(number=0).exists, "one has succeeded, for which the session was set up")
        entered.begin()
        wait_until(schedule(number=1).exists, "another one has succeeded")

    assert len(entered.files) <= 20, sorted(entered.files)
