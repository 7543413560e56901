"""Executors that are processes of their own: started, watched through their log and their row, and ended."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from django_scheduler.models import Executor
from tests.support.fork_server import RESOURCE_TRACKER
from tests.support.forked_processes import start_with_log
from tests.support.waiting import wait_until

#: How long a process that imports everything anew may take until it executes, beside as many others as a suite starts
#: on two processors, in seconds.
START_TIMEOUT = 50.0

STARTED = re.compile(r"Executor (?P<name>\S+): django_scheduler")


class ExecutorProcess:
    """Is one ``runscheduler``; what it logs goes into a file."""

    def __init__(
        self, arguments: tuple[str, ...], environment: dict[str, str], log: Path, *, is_forked: bool = True
    ) -> None:
        self._log = log
        # Django's system checks are a third of what the start of a forked process costs.
        skip_checks = ["--skip-checks"] if is_forked else []
        command = ["-m", "django", "runscheduler", *skip_checks, *arguments]
        self._process = start_with_log(command, environment, log, is_forked=is_forked)

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def name(self) -> str:
        match = STARTED.search(self.log)
        assert match, self.log
        return match["name"]

    @property
    def row(self) -> Executor:
        return Executor.objects.get(pk=self.name)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_until_started(self) -> None:
        wait_until(
            lambda: STARTED.search(self.log) or not self.is_running, "the executor started", timeout=START_TIMEOUT
        )
        assert self.is_running, self.log

    def wait_until_logged(self, pattern: str, *, timeout: float = 20.0) -> None:
        wait_until(lambda: re.search(pattern, self.log), f"the executor logged {pattern!r}", timeout=timeout)

    def send(self, *signals: signal.Signals) -> None:
        for number in signals:
            self._process.send_signal(number)

    def kill(self) -> None:
        """Kill the process by SIGKILL, and wait until it has ended."""
        self._process.kill()
        self._process.wait()

    def kill_all(self) -> list[str]:
        """Kill the process and all that it has started by SIGKILL; return what still ran."""
        left = [f"the process {process_id}" for process_id in running_processes(group=self.process_id)]
        if left:
            try:
                os.killpg(self.process_id, signal.SIGKILL)
            except ProcessLookupError:  # they have just ended
                left = []
        self._process.wait()
        return left

    def end(self, timeout: float = 20.0) -> int:
        """Wait until the process has ended, and return its exit code."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            pytest.fail(f"The executor has not ended within {timeout:g} seconds:\n{self.log}")

    def stop(self) -> int:
        """Ask it to stop, and wait until it has."""
        self.send(signal.SIGTERM)
        return self.end()


def running_processes(*, group: int) -> list[int]:
    """Return what has not ended of a process group, without the process that cleans up after multiprocessing.

    (A process that is just ending has no command line any more.)
    """
    return [
        int(status.parent.name)
        for status in Path("/proc").glob("[0-9]*/stat")
        if (fields := _read(status).rpartition(")")[2].split()) and fields[0] not in "ZX" and int(fields[2]) == group
        if (command := _read(status.parent / "cmdline")) and "resource_tracker" not in command
        if _read(status.parent / "comm").strip() != RESOURCE_TRACKER
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has just ended
        return ""


class ExecutorProcesses:
    """Starts executor processes, and knows what a test has left behind."""

    def __init__(self, environment: dict[str, str], directory: Path) -> None:
        self._environment = environment
        self._directory = directory
        self._processes: list[ExecutorProcess] = []

    def launch(self, *arguments: str, concurrency: int = 2, is_forked: bool = True, **settings: Any) -> ExecutorProcess:
        """Start a process; ``settings`` are those of the scheduler, durations in seconds.

        ``is_forked=False``: as users start it, and as it starts its own processes for them.
        """
        process = ExecutorProcess(
            ("--processes=0", f"--concurrency={concurrency}", *arguments),
            {**self._environment, "TEST_DJANGO_SCHEDULER": json.dumps(settings)},
            self._directory / f"executor-{len(self._processes)}.log",
            is_forked=is_forked,
        )
        self._processes.append(process)
        return process

    def start(self, *arguments: str, concurrency: int = 2, **settings: Any) -> ExecutorProcess:
        """Start a process, and wait until it executes."""
        process = self.launch(*arguments, concurrency=concurrency, **settings)
        process.wait_until_started()
        return process

    def end_all(self) -> list[str]:
        """Kill what still runs, and return what there was."""
        return [left for process in self._processes for left in process.kill_all()]


@contextmanager
def nothing_left_behind(processes: ExecutorProcesses) -> Iterator[None]:
    """Fail a test that leaves a process or an executor's row."""
    with no_executor_left_on_record():
        try:
            yield
        finally:
            left = processes.end_all()
        if left:
            pytest.fail(f"The test has left behind: {', '.join(left)}.")


@contextmanager
def no_executor_left_on_record() -> Iterator[None]:
    """Fail a test that leaves an executor's row."""
    yield
    left = [f"the executor on record {name}" for name in Executor.objects.values_list("pk", flat=True)]
    if left:
        pytest.fail(f"The test has left behind: {', '.join(left)}.")
