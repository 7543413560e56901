"""Who follows a function from its call to its commit has few files to read."""

import sys

import pytest

from django_scheduler import Context, ctx, mutation
from tests.support.files_entered import FilesEntered, files_entered
from tests.support.in_process import execute_with_one_worker

entered = FilesEntered(since="due_lanes", until="after_commit")


@mutation
def follow_the_next_one(ctx: Context) -> None:
    sys.setprofile(entered.note)  # in the worker's thread, which has set up its session by now


@mutation
def be_followed(ctx: Context, *, number: int) -> None: ...


@pytest.mark.django_db
def test_scheduling_a_function_enters_at_most_ten_files():
    scheduler = ctx.scheduler
    scheduler.run_after(0, be_followed, number=0)  # what happens once in a process does not count

    with files_entered() as files:
        scheduler.run_after(0, be_followed, number=1)

    assert len(files) <= 10, sorted(files)


def test_executing_a_mutation_from_its_wake_up_to_its_commit_enters_at_most_twenty_files(transactional_db):
    ctx.scheduler.run_after(0, follow_the_next_one)
    ctx.scheduler.run_after(0, be_followed, number=1)

    execute_with_one_worker()

    *_, files = entered.collected
    assert "executor/mutation.py" in files
    assert len(files) <= 20, sorted(files)
