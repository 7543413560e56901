"""Nobody reads standard error, and the pipe is full. Our handler lets work go on; a signal ends any process."""

import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from django_scheduler import ctx
from django_scheduler.models import Executor, ScheduledFunction, State
from tests.support import forked_processes
from tests.support.waiting import wait_until

pytestmark = pytest.mark.once

#: Settings of a project that configures no logging; those of the tests have a handler of Python's.
UNCONFIGURED = """
from tests.settings import *
LOGGING = {}
"""


@pytest.fixture
def full_pipe() -> Iterator[tuple[int, int]]:
    """Its two ends; nothing more fits into it."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writer, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writer, b"x" * 512)
    os.set_blocking(writer, True)
    yield reader, writer
    os.close(reader)


@pytest.fixture
def unconfigured(tmp_path) -> dict[str, str]:
    """The environment in which it is our handler that writes to standard error."""
    (tmp_path / "unconfigured_settings.py").write_text(UNCONFIGURED)
    path = os.pathsep.join([str(tmp_path), str(forked_processes.ROOT)])
    return {"DJANGO_SETTINGS_MODULE": "unconfigured_settings", "PYTHONPATH": path}


@pytest.fixture
def launch(full_pipe, child_environment, transactional_db):
    processes = []

    def launch(*arguments, constants=None, **environment):
        process = forked_processes.start(
            ["-m", "django", "runscheduler", "--concurrency=2", *arguments],
            {**child_environment, "TEST_CONSTANTS": json.dumps(constants or {}), **environment},
            stdout=subprocess.DEVNULL,
            stderr=full_pipe[1],
            process_group=0,
        )
        os.close(full_pipe[1])
        processes.append(process)
        return process

    yield launch
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def is_executed(ids):
    return ScheduledFunction.objects.filter(pk__in=ids, state=State.SUCCESS).count() == len(ids)


@pytest.mark.parametrize("processes", [0, 1])
def test_functions_are_executed_and_the_end_waits_for_no_reader(launch, unconfigured, processes):
    ids = ctx.scheduler.run_after_many(0, "tests:write", [{"label": "unread"}] * 20)
    process = launch(f"--processes={processes}", **unconfigured)
    wait_until(lambda: is_executed(ids), "all were executed")
    process.send_signal(signal.SIGTERM)
    assert process.wait(40) == 0
    assert not Executor.objects.exists()


def test_lines_that_were_dropped_are_counted(launch, full_pipe, unconfigured):
    ids = ctx.scheduler.run_after_many(0, "tests:write", [{"label": "unread"}] * 20)
    constants = {"django_scheduler.telemetry.standard_error.MOST_WAITING": 5}
    process = launch("--processes=0", constants=constants, **unconfigured)
    wait_until(lambda: is_executed(ids), "all were executed")
    read = os.read(full_pipe[0], 4096)
    ctx.scheduler.run_after(0, "tests:write", label="read")
    process.send_signal(signal.SIGTERM)
    while more := os.read(full_pipe[0], 4096):
        read += more
    assert process.wait(40) == 0
    assert b" lines of the log were dropped, because nobody read standard error" in read


#: For how long others wait for who waits for the reader, in seconds: in vain, however long that is.
SHORT_WAITS = {
    "django_scheduler.executor.crons.START_TIMEOUT": 0.5,
    "django_scheduler.executor.threads.LOG_TIMEOUT": 0.1,
    "django_scheduler.executor.run.LOG_TIMEOUT": 0.1,
    "django_scheduler.telemetry.standard_error.FLUSH_TIMEOUT": 0.1,
    "django_scheduler.supervisor.supervisor.END_TIMEOUT": 1.0,
}


@pytest.mark.parametrize("processes", [0, 1])
def test_signal_ends_it_also_where_the_handler_of_a_project_waits_for_the_reader(launch, processes):
    function_id = ctx.scheduler.run_after(0, "tests:write", label="unread")
    process = launch(f"--processes={processes}", "--grace=0.5", constants=SHORT_WAITS)
    wait_until(lambda: is_executed([function_id]), "one was executed")
    process.send_signal(signal.SIGTERM)
    assert process.wait(40) == 1
