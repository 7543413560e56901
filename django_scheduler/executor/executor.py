"""The executor: a number of workers that execute what is due, and the side tasks beside them.

It ends in one of three ways. By itself, when it was started ``until`` something that has come. Gracefully, after
``stop``: no new work, and what is being executed ends. At once, by ``abandon``: for a process that is about to
end; its mutations then vanish with their connections, and its actions are recorded as lost.

An end waits for nothing that may not come: not for a database that is gone, nor for SQLite's only lock, which a
mutation may hold that is about to be cut off. What could not be recorded then, the next executor records that sees
that this process has ended.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection

import django
from django.db import connections

from django_scheduler import __version__, wakeup
from django_scheduler.conf import get_settings
from django_scheduler.databases import database_for
from django_scheduler.executor.canceled import process_is_ending
from django_scheduler.executor.crons import CronKeeper
from django_scheduler.executor.errand import run_errand
from django_scheduler.executor.execution import Execution
from django_scheduler.executor.flight_recorder import FlightRecorder
from django_scheduler.executor.group_size import GroupSizes
from django_scheduler.executor.lone_names import LoneNames
from django_scheduler.executor.lookout import Lookout, Until
from django_scheduler.executor.recovery import record_lost, recover_lost_actions
from django_scheduler.executor.registration import Registration
from django_scheduler.executor.retention import delete_expired
from django_scheduler.executor.side_task import SideTask
from django_scheduler.executor.turn import Turn
from django_scheduler.executor.worker import Worker
from django_scheduler.log import log_of_executors as log

#: How often retention looks for what has expired, in seconds.
RETENTION_INTERVAL = 60.0

#: For how long an end waits for the side tasks, and for how long for the database, in seconds.
PATIENCE = 2.0


class Executor:
    """Executes due functions in ``concurrency`` threads of this process.

    ``queues``: serve only these; none: all. ``until``: when to stop by itself. ``flight_recorder``: with a slot for
    each thread.
    """

    def __init__(
        self,
        *,
        using: str = "default",
        concurrency: int = 8,
        queues: Collection[str] = (),
        until: Until = Until.STOPPED,
        flight_recorder: FlightRecorder | None = None,
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"An executor needs at least one thread, not {concurrency}.")
        self._database = database_for(using)
        self._concurrency = concurrency
        self._queues = sorted(queues)
        self._stopping = threading.Event()
        self._stopped = threading.Event()
        self._flight_recorder = flight_recorder or FlightRecorder([0] * concurrency)
        self._registration = Registration(
            self._database,
            queues=self._queues,
            concurrency=concurrency,
            running=lambda: self._flight_recorder.running,
        )
        self._lookout = Lookout(
            self._database,
            queues=self._queues,
            until=until,
            stopping=self._stopping,
            is_executing=lambda: self.is_executing,
        )
        self._crons = CronKeeper(self._database, keeps_firing=until is Until.STOPPED, stopping=self._stopping)
        turn = Turn()
        group_sizes, lone_names = GroupSizes(), LoneNames()
        self._workers = [
            Worker(
                database=self._database,
                lookout=self._lookout,
                turn=turn,
                stopping=self._stopping,
                executor_name=self.name,
                executing=self._executing,
                group_sizes=group_sizes,
                lone_names=lone_names,
            )
            for _ in range(concurrency)
        ]
        self._threads = [
            threading.Thread(
                target=self._work, args=[slot, worker], name=f"django_scheduler worker {slot + 1}", daemon=True
            )
            for slot, worker in enumerate(self._workers)
        ]
        self._side_tasks = self._make_side_tasks()

    @property
    def name(self) -> str:
        """Under which it is on record, and which every function that it executes bears."""
        return self._registration.name

    @property
    def bodies(self) -> int:
        """How many bodies have ended in it."""
        return self._flight_recorder.bodies

    @property
    def is_executing(self) -> bool:
        """Whether a function is being executed now."""
        return bool(self._executing())

    def start(self) -> None:
        """Begin to execute.

        Raises the database's error if it cannot be reached, or is not migrated.
        """
        self._registration.register()
        self._log_start()
        wakeup.subscribe(self._database.using, self._ring)
        for side_task in self._side_tasks:
            side_task.start()
        self._crons.wait_for_beginning()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin nothing new. What is being executed goes on: see ``wait``."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._ring()
            log(
                logging.INFO,
                "Executor %s is stopping: it begins nothing new, and is executing %d functions",
                self.name,
                len(self._executing()),
                executor=self.name,
            )

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until everything has ended, for so many seconds at most; whether it has."""
        deadline = None if timeout is None else time.monotonic() + timeout
        if self._stopping.is_set():
            self._lookout.ring()  # once more: a worker that was about to look may have missed it
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                return False
        self._end()
        return True

    def abandon(self) -> None:
        """Record that what is being executed is lost. The caller must end the process now."""
        self.stop()
        process_is_ending.set()
        self._stopped.set()
        self._leave(self._record_lost, self._registration.unregister)

    def _work(self, slot: int, worker: Worker) -> None:
        with self._flight_recorder.slot(slot):
            worker.run()

    def _end(self) -> None:
        if not self._stopped.is_set():
            self._stopping.set()
            self._stopped.set()
            wakeup.unsubscribe(self._database.using, self._ring)
            self._ring()
            deadline = time.monotonic() + PATIENCE
            for side_task in self._side_tasks:
                side_task.join(max(0.0, deadline - time.monotonic()))
            self._leave(self._registration.unregister)

    def _leave(self, *last_tasks: Callable[[], None]) -> None:
        """Leave the database: whether or not it answers."""

        def run() -> None:
            for task in last_tasks:
                task()

        try:
            run_errand(run, timeout=PATIENCE)
        except Exception as error:
            log(
                logging.WARNING,
                "Executor %s could not take its leave of the database, which the next executor will do for it: %r",
                self.name,
                error,
                executor=self.name,
            )
        log(logging.INFO, "Executor %s has stopped", self.name, executor=self.name)

    def _ring(self) -> None:
        """Something may be due, or it is time to stop."""
        self._lookout.ring()
        self._crons.ring()

    def _record_lost(self) -> None:
        record_lost(self._database, self.name, "its executor was stopped before it ended")

    def _executing(self) -> list[Execution]:
        return [execution for worker in self._workers if (execution := worker.execution)]

    def _make_side_tasks(self) -> list[SideTask]:
        heartbeat_interval = get_settings().HEARTBEAT_INTERVAL.total_seconds()
        return [
            SideTask("heartbeat", self._registration.beat, interval=heartbeat_interval, stopping=self._stopped),
            SideTask(
                "recovery",
                lambda: recover_lost_actions(self._database),
                interval=heartbeat_interval,
                stopping=self._stopped,
            ),
            SideTask(
                "retention",
                lambda: delete_expired(self._database, self._stopped),
                interval=RETENTION_INTERVAL,
                stopping=self._stopped,
            ),
            SideTask(
                "listener",
                lambda: self._database.listen(self._ring, self._stopped),
                interval=RETENTION_INTERVAL,
                stopping=self._stopped,
            ),
            SideTask("crons", self._crons.keep, interval=RETENTION_INTERVAL, stopping=self._stopping),
        ]

    def _log_start(self) -> None:
        connection = connections[self._database.using]
        log(
            logging.INFO,
            "Executor %s: django_scheduler %s, Django %s, %s %s, database %r, queues %s, concurrency %d",
            self.name,
            __version__,
            django.get_version(),
            connection.display_name,
            ".".join(map(str, connection.get_database_version())),
            self._database.using,
            ", ".join(self._queues) or "all",
            self._concurrency,
            executor=self.name,
            database=self._database.using,
            queues=self._queues,
            concurrency=self._concurrency,
            version=__version__,
        )
