"""Who follows a function from its call to its commit has few files to read."""

import pytest

from django_scheduler import Context, ctx, mutation
from tests.support.files_entered import FilesEntered
from tests.support.in_process import one_worker


@mutation
def be_followed(ctx: Context, *, number: int) -> None: ...


@pytest.mark.django_db
def test_scheduling_a_function_enters_at_most_ten_files():
    scheduler = ctx.scheduler
    scheduler.run_after(0, be_followed, number=0)  # what happens once in a process does not count

    with FilesEntered(since="run_after", until="") as entered:
        scheduler.run_after(0, be_followed, number=1)

    *_, files = entered.collected
    assert "scheduling/enqueue.py" in files
    assert len(files) <= 10, sorted(files)


def test_executing_a_mutation_from_the_look_that_finds_it_to_its_commit_enters_at_most_twenty_files(transactional_db):
    ctx.scheduler.run_after(0, be_followed, number=0)  # for which the session is set up
    ctx.scheduler.run_after(0, be_followed, number=1)

    with one_worker() as worker, FilesEntered(since="due_lanes", until="after_commit") as entered:
        worker.run()

    _, files, *_ = entered.collected
    assert "executor/mutation.py" in files
    assert len(files) <= 20, sorted(files)
