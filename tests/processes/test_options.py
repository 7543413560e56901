"""The options of runscheduler, and how it refuses to start."""

import os
import pty
from contextlib import suppress
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from django_scheduler import ctx
from django_scheduler.models import Executor, Failure, ScheduledFunction, State
from tests.models import Entry
from tests.support.forked_processes import run, start
from tests.support.records import record
from tests.support.waiting import wait_until


def labels():
    return sorted(Entry.objects.values_list("label", flat=True))


@pytest.mark.once
def test_once_runs_what_is_due_and_what_that_schedules_and_exits(executors):
    ctx.scheduler.run_after(0, "tests:write_then_schedule", label="due")
    later_id = ctx.scheduler.run_after(timedelta(hours=1), "tests:write", label="later")

    assert executors.launch("--once").end() == 0

    assert labels() == ["due"]
    assert ScheduledFunction.objects.get(name="tests:count_entries").result == 1
    assert ScheduledFunction.objects.get(pk=later_id).state == State.PENDING


@pytest.mark.once
def test_drain_also_runs_what_is_due_some_seconds_later(executors):
    ctx.scheduler.run_after(0, "tests:write", label="due")
    ctx.scheduler.run_after(2_000, "tests:write_then_schedule", label="later", delay=timedelta(seconds=1))

    executor = executors.launch("--drain")
    assert executor.end() == 0

    assert labels() == ["due", "later"]
    assert not ScheduledFunction.objects.exclude(state=State.SUCCESS).exists()
    assert "[" not in executor.log.replace("[]", "")  # no progress bar: this is no terminal


def launch_for_a_time(executors, gate, *arguments):
    """Launch it for as long as this machine needs to have a function begin, which is due and waits at the gate."""
    for seconds in (2, 6, 18):
        executor = executors.launch(f"--for={seconds}s", *arguments, concurrency=1)
        wait_until(lambda: gate.arrivals or not executor.is_running, "the function began, or the time was up")  # noqa: B023
        if gate.arrivals:
            return executor
        assert executor.end() == 0
    pytest.fail("The function has not begun within 18 seconds.")


@pytest.mark.once
@pytest.mark.parametrize("processes", [0, 2])
def test_for_a_time_it_begins_functions_and_then_ends_what_it_has_begun(executors, gate, processes):
    first = ctx.scheduler.run_after(0, "tests:schedule_at_gates", gates=[gate.path])
    executor = launch_for_a_time(executors, gate, f"--processes={processes}")
    is_stopping = "is stopping: it begins nothing new"
    wait_until(lambda: executor.log.count(is_stopping) == max(1, processes), "each of its processes was to stop")
    too_late = ctx.scheduler.run_after(0, "tests:write", label="too late")
    assert executor.is_running
    gate.open()
    assert executor.end() == 0
    assert record(first).state == State.SUCCESS
    assert record(too_late).state == State.PENDING
    assert not Executor.objects.exists()


@pytest.mark.once
@pytest.mark.parametrize("options", [["--drain"], ["--drain", "--processes=1"]], ids=str)
def test_for_a_time_at_most_it_drains(executors, options):
    function_id = ctx.scheduler.run_after(0, "tests:write", label="now")
    assert executors.launch("--for=1h", *options).end() == 0
    assert record(function_id).state == State.SUCCESS


@pytest.mark.once
def test_what_has_not_ended_within_the_grace_after_its_time_is_cut_off(executors, gate):
    function_id = ctx.scheduler.run_after(0, "tests:schedule_at_gates", gates=[gate.path])
    executor = launch_for_a_time(executors, gate, "--grace=0.1")
    assert executor.end() == 1
    assert record(function_id).failure == Failure.LOST


@pytest.mark.once
def test_a_signal_ends_it_before_its_time(executors):
    executor = executors.launch("--for=1h")
    executor.wait_until_started()
    assert executor.stop() == 0


@pytest.mark.once
def test_drain_shows_its_progress_on_a_terminal(executors, gate, child_environment):
    ctx.scheduler.run_after(0, "tests:note_and_wait", label="first", gate=gate.path)
    ctx.scheduler.run_after(0, "tests:write", label="second")
    ctx.scheduler.run_after(0, "tests:write", label="third")
    ctx.scheduler.run_after(timedelta(hours=1), "tests:write_with_priority", label="of another queue")
    terminal, its_end = pty.openpty()
    command = ["-m", "django", "runscheduler", "--drain", "--queue=default", "--concurrency=1"]
    output = ""
    with start(command, child_environment, stderr=its_end) as process:
        os.close(its_end)
        for data in read_all(terminal):
            output += data
            if "[..............................] 0 of 3 done, 3 left" in output:
                gate.open()
    assert process.returncode == 0
    assert "\r[##############################] 3 of 3 done, 0 left" in output


def read_all(terminal):
    try:
        with suppress(OSError):  # with which Linux says that the other end is closed
            while data := os.read(terminal, 1024):
                yield data.decode()
    finally:
        os.close(terminal)


@pytest.mark.once
def test_queue_may_be_repeated_and_what_is_in_other_queues_stays(executors):
    for queue in ("email", "reports", "other"):
        ctx.scheduler.run_after(0, "tests:write", label=queue)
        ScheduledFunction.objects.filter(queue="default").update(queue=queue)

    executor = executors.launch("--drain", "--queue=email", "--queue=reports")
    assert executor.end() == 0

    assert labels() == ["email", "reports"]
    assert "queues email, reports, concurrency 2" in executor.log


@pytest.mark.once
def test_functions_run_at_the_same_time_as_many_as_concurrency_says(executors, gate):
    for number in range(4):
        ctx.scheduler.run_after(0, "tests:note_and_wait", label=str(number), gate=gate.path)
    executor = executors.start(concurrency=3)
    wait_until(lambda: gate.arrivals == 3, "three functions ran")
    assert ScheduledFunction.objects.filter(state=State.IN_PROGRESS).count() == 3
    gate.open()
    wait_until(lambda: Entry.objects.count() == 4, "the fourth one ran")
    assert executor.stop() == 0


@pytest.mark.parametrize(
    ("argument", "complaint"),
    [
        ("--concurrency=0", "0 is not greater than 0"),
        ("--concurrency=-1", "-1 is not greater than 0"),
        ("--concurrency=many", "'many' is not a whole number"),
        ("--concurrency=1.5", "'1.5' is not a whole number"),
        ("--grace=0", "0 is not greater than 0"),
        ("--grace=nan", "nan is not greater than 0"),
        ("--grace=soon", "'soon' is not a number"),
        ("--once --drain", "not allowed with argument"),
        ("--processes=-1", "-1 is less than 0"),
        ("--processes=two", "'two' is not a whole number"),
        ("--max-functions=0", "0 is not greater than 0"),
        ("--max-memory=lots", "'lots' is not a size of memory"),
        ("--max-memory=0M", "'0M' is not a size of memory"),
        ("--processes=0 --max-functions=5", "need a process that can be replaced"),
        ("--for=soon", "'soon' is not a duration"),
        ("--for=0s", "--for must be longer than 0s"),
        ("--for=5s --once", "--for has no meaning with --once"),
        ("--for=5s --reload", "--for has no meaning with --reload"),
        ("--reload --processes=2", "everything is executed in one process"),
        ("--database=nowhere", "There is no database 'nowhere' in DATABASES. There are: default."),
    ],
)
def test_wrong_option_is_refused_with_the_reason(argument, complaint):
    with pytest.raises(CommandError) as refusal:
        call_command("runscheduler", *argument.split())
    assert complaint in str(refusal.value)


def refused(environment):
    ended = run(["-m", "django", "runscheduler", "--once"], environment)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.mark.once
def test_database_that_is_not_migrated_is_refused_with_a_hint(child_environment, tmp_path):
    stderr = refused({**child_environment, "DATABASE_URL": f"sqlite:///{tmp_path / 'empty.sqlite3'}"})
    assert "CommandError: The executor cannot start: no such table" in stderr
    assert "`manage.py migrate`" in stderr


def test_database_that_cannot_be_reached_is_refused_with_the_reason(child_environment, tmp_path):
    urls = {
        "sqlite": f"sqlite:///{tmp_path / 'no such directory' / 'database.sqlite3'}",
        "postgresql": "postgres://postgres@127.0.0.1:9/postgres",
        "mysql": "mysql://root@127.0.0.1:9/test",
    }
    stderr = refused({**child_environment, "DATABASE_URL": urls[connection.vendor]})
    assert "CommandError: The executor cannot start: " in stderr
    assert "Can the database be reached" in stderr
