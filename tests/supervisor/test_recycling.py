"""--max-functions and --max-memory: a process that has done enough is replaced, between functions."""

from functools import partial

import pytest
from django.core.management import CommandError, call_command

from django_scheduler import ctx
from django_scheduler.management.arguments import size_of_memory
from django_scheduler.models import Executor, ScheduledFunction, State
from tests.models import Entry
from tests.processes import functions
from tests.supervisor.functions import keep_memory
from tests.support.waiting import wait_until


def state_of(function_id):
    return ScheduledFunction.objects.get(pk=function_id).state


def test_process_is_replaced_after_so_many_functions_and_none_is_lost_or_doubled(supervise):
    supervised = supervise("--max-functions=5")
    for _ in range(2):
        before = supervised.process_ids
        ctx.scheduler.run_after_many(0, "tests:write", [{"label": "many"}] * 10)
        wait_until(partial(supervised.are_replaced, before), "it was replaced")
    wait_until(lambda: Entry.objects.count() == 20, "everything ran")
    assert ScheduledFunction.objects.filter(state=State.SUCCESS, attempts=1).count() == 20
    supervised.wait_until_logged(r"has executed \d+ functions, and is being replaced")
    assert supervised.stop() == 0
    assert "has died" not in supervised.log
    assert not Executor.objects.exists()


def test_what_still_runs_in_the_old_process_ends_there_while_the_new_one_executes(supervise, gate):
    supervised = supervise("--max-functions=1")
    long_id = ctx.scheduler.run_after(0, functions.note_and_wait, label="long", gate=gate.path)
    wait_until(lambda: gate.arrivals == 1, "the action came to the gate")
    ctx.scheduler.run_after(0, "tests:write", label="one")
    supervised.wait_until_executing(2)
    supervised.wait_until_logged("is stopping")

    later_id = ctx.scheduler.run_after(0, "tests:write", label="later")
    wait_until(lambda: state_of(later_id) == State.SUCCESS, "the new process executed")
    assert state_of(long_id) == State.IN_PROGRESS
    gate.open()
    wait_until(lambda: state_of(long_id) == State.SUCCESS, "it ended in the old one")
    assert supervised.stop() == 0


def test_process_is_replaced_when_it_uses_too_much_memory(supervise):
    supervised = supervise("--max-memory=200M")
    before = supervised.process_ids
    ctx.scheduler.run_after(0, keep_memory, mebibytes=200)
    wait_until(partial(supervised.are_replaced, before), "it was replaced")
    supervised.wait_until_logged(r"uses \d+ MiB of memory, and is being replaced")
    assert supervised.stop() == 0
    assert supervised.started == 2


@pytest.mark.parametrize(
    ("text", "size"), [("4096", 4096), ("1k", 1024), ("512M", 512 * 2**20), ("1.5GiB", 3 * 2**29), ("2 gb", None)]
)
def test_size_of_memory(text, size):
    if size is None:
        with pytest.raises(Exception, match="is not a size of memory"):
            size_of_memory(text)
    else:
        assert size_of_memory(text) == size


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--processes=-1"], "-1 is less than 0"),
        (["--processes=two"], "'two' is not a whole number"),
        (["--max-functions=0"], "0 is not greater than 0"),
        (["--max-memory=lots"], "'lots' is not a size of memory"),
        (["--max-memory=0M"], "'0M' is not a size of memory"),
        (["--processes=0", "--max-functions=5"], "need a process that can be replaced"),
        (["--reload", "--processes=2"], "everything is executed in one process"),
    ],
)
def test_wrong_option_is_refused_with_the_reason(arguments, complaint):
    with pytest.raises(CommandError, match=complaint):
        call_command("runscheduler", *arguments)
