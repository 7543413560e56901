"""Web servers that are processes of their own: started, asked, watched through their log, and ended."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from django_scheduler.models import Executor
from tests.support import forked_processes
from tests.support.executor_processes import START_TIMEOUT, running_processes
from tests.support.waiting import wait_until

GUNICORN = ("gunicorn", "tests.embedded.wsgi:application", "--bind=127.0.0.1:0", "--no-control-socket")
UVICORN = ("uvicorn", "tests.embedded.asgi:application", "--port=0")
RUNSERVER = ("django", "runserver", "0")

#: What a server logs once it listens.
ADDRESS = r"http://127\.0\.0\.1:(?!0/)\d+"


class Server:
    """Is one server; what it and its processes log goes into a file."""

    def __init__(self, command: tuple[str, ...], environment: dict[str, str], log: Path, *, is_forked: bool) -> None:
        self._log = log
        self._process = forked_processes.start_with_log(["-m", *command], environment, log, is_forked=is_forked)

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait_until_logged(self, pattern: str) -> None:
        wait_until(
            lambda: re.search(pattern, self.log) or self._process.poll() is not None,
            f"the server logged {pattern!r}",
            timeout=START_TIMEOUT,
        )
        assert re.search(pattern, self.log), self.log

    def wait_until_executing(self, number: int = 1, *, besides: Collection[int] = ()) -> set[int]:
        """Return the ids of the processes that execute, once there are so many, and none of the others."""

        def executes_or_has_ended() -> bool:
            found = executing()
            return (len(found) == number and found.isdisjoint(besides)) or self._process.poll() is not None

        wait_until(executes_or_has_ended, "its processes executed", timeout=START_TIMEOUT)
        assert self._process.poll() is None, self.log
        return executing()

    def ask(self) -> int:
        """Have it answer a request; the status."""
        self.wait_until_logged(ADDRESS)
        (address,) = set(re.findall(ADDRESS, self.log))
        try:
            with urlopen(f"{address}/nothing", timeout=20) as answer:
                return int(answer.status)
        except HTTPError as error:
            return error.code

    def send(self, number: signal.Signals) -> None:
        """Send the server a signal, as a service manager does."""
        self._process.send_signal(number)

    def press_ctrl_c(self) -> None:
        """Send the server, and all that it has started, what a terminal sends."""
        os.killpg(self.process_id, signal.SIGINT)

    def end(self) -> int:
        """Wait until it has ended, and return its exit code."""
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            pytest.fail(f"The server has not ended:\n{self.log}")

    def kill_all(self) -> list[str]:
        """Kill the server and all that it has started by SIGKILL; return what still ran."""
        left = [f"the process {process_id}" for process_id in running_processes(group=self.process_id)]
        if left:
            os.killpg(self.process_id, signal.SIGKILL)
        self._process.wait()
        return left


class Servers:
    """Starts servers."""

    def __init__(self, environment: dict[str, str], directory: Path) -> None:
        self.environment = environment
        self._directory = directory
        self._servers: list[Server] = []

    def start(self, *command: str, is_forked: bool = True, **settings: Any) -> Server:
        """Start a server; ``settings`` are those of the scheduler.

        ``is_forked=False``: as users start it; else it is forked from a process that has all imported but the server.
        """
        environment = {**self.environment, "TEST_DJANGO_SCHEDULER": json.dumps(settings)}
        server = Server(command, environment, self._directory / f"server-{len(self._servers)}.log", is_forked=is_forked)
        self._servers.append(server)
        return server

    def end_all(self) -> list[str]:
        """Kill what still runs, and return what there was."""
        return [left for server in self._servers for left in server.kill_all()]


def executing() -> set[int]:
    """Return the ids of the processes that are on record as executing."""
    return set(Executor.objects.values_list("process_id", flat=True))
