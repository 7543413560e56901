"""A supervisor and the processes under it."""

import os
import random
import signal

from django_scheduler.executor.heartbeat import is_alive
from django_scheduler.models import Executor
from tests.support.executor_processes import START_TIMEOUT, STARTED, ExecutorProcess, running_processes
from tests.support.waiting import wait_until


class Supervised:
    def __init__(self, supervisor: ExecutorProcess) -> None:
        self.supervisor = supervisor
        self.stop = supervisor.stop
        self.end = supervisor.end
        self.send = supervisor.send
        self.wait_until_logged = supervisor.wait_until_logged

    @property
    def log(self) -> str:
        return self.supervisor.log

    @property
    def process_ids(self) -> set[int]:
        """Return the ids of the processes that are on record as executing."""
        return set(Executor.objects.values_list("process_id", flat=True))

    def kill_one(self, *signals: signal.Signals) -> None:
        """Send one of the signals to one of those that execute, as soon as there is one."""

        def kill() -> bool:
            on_record = Executor.objects.values_list("process_id", "process_start")
            alive = [process_id for process_id, start in on_record if is_alive(process_id, start)]
            try:
                os.kill(random.choice(alive), random.choice(signals))
            except (IndexError, ProcessLookupError):  # it may die by itself, right now
                return False
            return True

        wait_until(kill, "one of them executed, and was killed")

    @property
    def is_running(self) -> bool:
        """Return whether any of its processes, or itself, runs."""
        return bool(running_processes(group=self.supervisor.process_id))

    @property
    def started(self) -> int:
        """Return how many processes have begun to execute, in all."""
        return len(STARTED.findall(self.log))

    def wait_until_executing(self, processes: int) -> None:
        wait_until(
            lambda: self.started >= processes or not self.supervisor.is_running,
            "its processes executed",
            timeout=START_TIMEOUT,
        )
        assert self.supervisor.is_running, self.log

    def are_replaced(self, before: set[int]) -> bool:
        """Return whether others execute, and those do no more."""
        now = self.process_ids
        return bool(now) and now.isdisjoint(before)
