"""--max-functions and --max-memory: a process that has done enough is replaced, between functions."""

import resource
from argparse import ArgumentTypeError
from functools import partial
from pathlib import Path

import pytest

from django_scheduler import ctx
from django_scheduler.management.arguments import size_of_memory
from django_scheduler.models import Executor, ScheduledFunction, State
from tests.models import Entry
from tests.processes import functions
from tests.supervisor.functions import keep_memory
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.once


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
    wait_until(lambda: record(later_id).state == State.SUCCESS, "the new process executed")
    assert record(long_id).state == State.IN_PROGRESS
    gate.open()
    wait_until(lambda: record(long_id).state == State.SUCCESS, "it ended in the old one")
    assert supervised.stop() == 0


def mebibytes_now() -> int:
    """What this process uses. The most that it has ever used, by some other test, may be far more."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return pages * resource.getpagesize() // 2**20


def test_process_is_replaced_when_it_uses_too_much_memory(supervise):
    # More than an idle process uses, which is forked from this one, and less than it uses after that.
    limit = mebibytes_now() + 200
    supervised = supervise(f"--max-memory={limit}M")
    before = supervised.process_ids
    ctx.scheduler.run_after(0, keep_memory, mebibytes=limit + 300)
    wait_until(partial(supervised.are_replaced, before), "it was replaced")
    supervised.wait_until_logged(r"uses \d+ MiB of memory, and is being replaced")
    assert supervised.stop() == 0
    assert supervised.started == 2


def test_limit_below_what_an_idle_process_uses_is_ignored_with_a_warning(supervise):
    supervised = supervise("--max-memory=10M")
    supervised.wait_until_logged(r"--max-memory is ignored: process \d+ uses \d+ MiB before .* may use 10 MiB")
    for _ in range(3):
        function_id = ctx.scheduler.run_after(0, "tests:write", label="in the same process")
        wait_until(lambda: record(function_id).state == State.SUCCESS, "it ran")  # noqa: B023
    assert supervised.started == 1
    assert supervised.stop() == 0


@pytest.mark.parametrize(("text", "size"), [("4096", 4096), ("1k", 1024), ("512M", 512 * 2**20), ("1.5GiB", 3 * 2**29)])
def test_size_of_memory_may_have_a_unit(text, size):
    assert size_of_memory(text) == size


def test_unit_that_is_none_is_refused():
    with pytest.raises(ArgumentTypeError, match="'2 gb' is not a size of memory"):
        size_of_memory("2 gb")
