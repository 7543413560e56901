"""Who follows a function from its call to its end has few files to read."""

import pytest

from django_scheduler import Context, ctx, mutation
from django_scheduler.models import ScheduledFunction, State
from tests.support.files_entered import files_entered
from tests.support.in_process import executing
from tests.support.waiting import wait_until


@mutation
def do_nothing_and_be_followed(ctx: Context, *, number: int) -> None: ...


@pytest.mark.django_db
def test_scheduling_a_function_enters_at_most_ten_files():
    ctx.scheduler.run_after(0, do_nothing_and_be_followed, number=0)

    with files_entered() as files:
        ctx.scheduler.run_after(0, do_nothing_and_be_followed, number=1)

    assert len(files) <= 10, sorted(files)


def test_executing_a_mutation_from_its_wake_up_to_its_commit_enters_at_most_twenty_files(transactional_db):
    with executing(concurrency=1):  # it has begun before, so what happens once does not count
        pass

    with files_entered("django_scheduler worker") as files, executing(concurrency=1):
        files.clear()
        function_id = ctx.scheduler.run_after(0, do_nothing_and_be_followed, number=1)
        succeeded = ScheduledFunction.objects.filter(pk=function_id, state=State.SUCCESS)
        wait_until(succeeded.exists, "it succeeded")

    assert len(files) <= 20, sorted(files)
