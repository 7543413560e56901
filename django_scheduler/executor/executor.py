"""The executor: a number of workers that execute what is due, and the side tasks beside them.

It ends in one of three ways. By itself, when it was started ``until`` something that has come. Gracefully, after
``stop``: no new work, and what is being executed ends. At once, by ``abandon``: for a process that is about to
end; its mutations then vanish with their connections, and its actions are recorded as lost.

An end waits for nothing that may not come: not for a database that is gone, nor for SQLite's only lock, which may be
held by a mutation that is about to be cut off. What could not be recorded then is recorded by the next executor that
sees that this process has ended.
"""

import logging
import threading
import time
from collections.abc import Collection
from typing import Any

import django
from django.db import connections

from django_scheduler import __version__
from django_scheduler.databases import DueFunction, database_for
from django_scheduler.executor import forks
from django_scheduler.executor.action import ActionExecution
from django_scheduler.executor.body import process_is_ending
from django_scheduler.executor.claim_lock import ClaimLock
from django_scheduler.executor.claim_policy import GroupingPolicy, LeftToOthers, PutOff, RetryStorm
from django_scheduler.executor.crons import CronPoller
from django_scheduler.executor.execution import Execution
from django_scheduler.executor.heartbeat import END_TIMEOUT, Registration
from django_scheduler.executor.limit_watch import LimitWatch
from django_scheduler.executor.poller import Poller, Until
from django_scheduler.executor.recovery import Recovery, record_lost
from django_scheduler.executor.running_bodies import RunningBodies
from django_scheduler.executor.second_session import SecondSession
from django_scheduler.executor.session import in_session
from django_scheduler.executor.threads import log_briefly, side_task
from django_scheduler.executor.worker import Worker
from django_scheduler.record import Retention, wakeup
from django_scheduler.scheduling import middleware_chain

#: How often retention looks for what has expired, in seconds.
RETENTION_INTERVAL = 60.0

#: How long the database may take for a deletion, in seconds: it takes along what refers to the rows, and nobody waits.
RETENTION_ANSWER_TIMEOUT = 600.0

#: How soon the listener and the crons begin again should they end, in seconds.
RESTART_INTERVAL = 60.0


class Executor:
    """Executes due functions in ``concurrency`` threads of this process.

    ``queues``: serve only these; empty: every queue. ``until``: when to stop by itself. ``running_bodies``: has an
    entry for each thread.
    """

    def __init__(
        self,
        *,
        using: str = "default",
        concurrency: int = 8,
        queues: Collection[str] = (),
        until: Until = Until.STOPPED,
        running_bodies: RunningBodies | None = None,
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"An executor needs at least one thread, not {concurrency}.")
        middleware_chain.make_chain()  # what is wrong with it keeps an executor from starting, and fails no function
        self._database = database_for(using)
        self._concurrency = concurrency
        self._queues = sorted(queues)
        self._ends_by_itself = until is not Until.STOPPED
        self._stopping = threading.Event()
        self._stopped = threading.Event()
        self._running_bodies = running_bodies or RunningBodies([0] * concurrency)
        self._registration = Registration(
            self._database,
            queues=self._queues,
            concurrency=concurrency,
            running=self._running,
        )
        self._claim_lock, put_off = ClaimLock(), PutOff()
        self._left_to_others = LeftToOthers()
        grouping_policy, retry_storm = GroupingPolicy(), RetryStorm()
        self._limit_watch = LimitWatch(self._database, self._stopped)
        self._second_session = SecondSession(self._database)
        self._recovery = Recovery(self._database, self._registration, self._limit_watch.remind)
        self._poller = Poller(
            self._database,
            queues=self._queues,
            until=until,
            stopping=self._stopping,
            executing_ids=self._executing_ids,
            put_off=put_off,
            left_to_others=self._left_to_others,
            may_end=self._may_end,
        )
        self._recovery.when_settled(self._poller.function_ended)
        self._limit_watch.when_settled(self._poller.function_ended)
        self._crons = CronPoller(self._database, keeps_firing=until is Until.STOPPED, stopping=self._stopping)
        self._workers = [
            Worker(
                database=self._database,
                poller=self._poller,
                claim_lock=self._claim_lock,
                stopping=self._stopping,
                executor_name=self.name,
                executing_ids=self._executing_ids,
                grouping_policy=grouping_policy,
                put_off=put_off,
                left_to_others=self._left_to_others,
                retry_storm=retry_storm,
                limit_watch=self._limit_watch,
                second_session=self._second_session,
            )
            for _ in range(concurrency)
        ]
        self._threads = [
            threading.Thread(
                target=self._work, args=[number, worker], name=f"django_scheduler worker {number + 1}", daemon=True
            )
            for number, worker in enumerate(self._workers)
        ]
        self._side_tasks = self._make_side_tasks()

    @property
    def name(self) -> str:
        """Return the name of its row, which the rows of the functions that it executes bear too."""
        return self._registration.name

    @property
    def is_executing(self) -> bool:
        """Return whether a function is being executed now."""
        return bool(self._executing_ids())

    @property
    def is_working(self) -> bool:
        """Return whether any function is being executed whose end is still waited for."""
        executions = self._executions()
        loop_is_blocked = any(each.blocks_event_loop for each in executions)
        return not all(each.is_given_up or (each.is_async and loop_is_blocked) for each in executions)

    @property
    def why_stuck(self) -> str:
        """Say why this process cannot go on as it is, because of bodies that do not end; empty: it can."""
        given_up = [each for each in self._executions() if each.is_given_up]
        blocking = [each for each in given_up if each.blocks_event_loop]
        if blocking:
            return f"has an event loop that runs nothing any more: a body blocks it ({self._names_of(blocking)})"
        if len(given_up) == self._concurrency:
            return f"has no thread left that works: bodies that do not end hold them ({self._names_of(given_up)})"
        return ""

    def start(self) -> None:
        """Begin to execute.

        Raises the database's error if it cannot be reached, or is not migrated.
        """
        forks.watch_forks()
        in_session(self._database, self._put_on_record)()
        wakeup.subscribe(self._database.using, self._wake_up)
        for thread in self._side_tasks:
            thread.start()
        self._crons.wait_until_started()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin nothing new. What is being executed goes on; ``wait`` for it."""
        self._recovery.settle()
        if not self._stopping.is_set():
            self._stopping.set()
            self._wake_up()
            number = len(self._executing_ids())
            executing = "1 function" if number == 1 else f"{number or 'no'} functions"
            self._log(logging.INFO, "Executor %s is stopping: it begins nothing new, and is executing %s", executing)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the workers, for ``timeout`` seconds at most; then end the side tasks.

        Return whether the workers have ended.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if self._stopping.is_set():
            self._poller.wake_up()  # once more: a worker that was about to look may have missed it
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                return False
        if not self._recovery.wait_until_settled(None if deadline is None else max(0.0, deadline - time.monotonic())):
            return False
        self._end()
        return True

    def abandon(self) -> None:
        """Record that what is being executed is lost. The caller must end the process now."""
        self.stop()
        process_is_ending.set()
        self._stopped.set()
        executing = self._executions()

        def record() -> None:
            reason = "its executor was stopped before it ended"
            are_recorded = record_lost(self._database, self.name, reason, is_gone=False)
            if are_recorded and not any(isinstance(each, ActionExecution) and each.slot_id for each in executing):
                self._registration.unregister()
            # Else its row stays, by which others see that this process has ended, and that what it has left may start,
            # and what waits for the slots of its bodies.

        self._registration.make_last_record(record, "record its actions as lost and remove its row")
        self._log(logging.INFO, "Executor %s is cut off: its process ends now")

    def _work(self, number: int, worker: Worker) -> None:
        with self._running_bodies.of_this_thread(number):
            worker.run()

    def _end(self) -> None:
        if not self._stopped.is_set():
            self._stopping.set()
            self._stopped.set()
            self._recovery.stop()
            self._limit_watch.stop()
            self._second_session.stop()
            wakeup.unsubscribe(self._database.using, self._wake_up)
            self._wake_up()
            deadline = time.monotonic() + END_TIMEOUT
            for thread in self._side_tasks:
                thread.join(max(0.0, deadline - time.monotonic()))
            self._registration.make_last_record(self._registration.unregister, "remove its row")
            if self._ends_by_itself:
                self._log_left()
            self._log(logging.INFO, "Executor %s has stopped")

    def _wake_up(self, due_function: DueFunction | None = None) -> None:
        """Look again: something may be due, or it is time to stop. ``due_function``: only this is due."""
        self._poller.wake_up(due_function)
        if due_function is None:
            self._crons.wake_up()

    def _executions(self) -> list[Execution]:
        given = [each.execution for each in list(self._claim_lock.given)]
        return given + [execution for worker in self._workers if (execution := worker.execution)]

    def _executing_ids(self) -> list[int]:
        # What a worker of this process executes is locked, except for the moment between its rollback and the
        # record of why. Others may run it once more in that moment, to no effect; we need not.
        return [function_id for execution in self._executions() for function_id in execution.ids]

    def _may_end(self) -> bool:
        """Return whether nothing that is not executing now is about to begin: it may end by itself if nothing is due.

        No action is looked for any more that an executor has left, which may be due again; nothing waits for a limit
        that has a slot for it; and no worker is between two members of a group that run alone.
        """
        return (
            self._recovery.is_settled
            and self._limit_watch.is_settled
            and not any(worker.executes_members_alone for worker in self._workers)
        )

    def _running(self) -> list[dict[str, Any]]:
        """Return the functions whose bodies run now, as its row has them."""
        given_up = {function_id for each in self._executions() if each.is_given_up for function_id in each.ids}
        return [
            {**each, "is_given_up": True} if each["id"] in given_up else each for each in self._running_bodies.functions
        ]

    def _names_of(self, executions: Collection[Execution]) -> str:
        ids = {function_id for each in executions for function_id in each.ids}
        return ", ".join(f"{each['name']} {each['id']}" for each in self._running() if each["id"] in ids)

    def _make_side_tasks(self) -> list[threading.Thread]:
        database, stopped = self._database, self._stopped
        delete = in_session(database, Retention(database, stopped).delete, answer_timeout=RETENTION_ANSWER_TIMEOUT)
        seldom, restart = RETENTION_INTERVAL, RESTART_INTERVAL
        return [
            *self._recovery.side_tasks(stopped),
            self._limit_watch.side_task(),
            side_task("retention", delete, interval=seldom, stopping=stopped),
            side_task("listener", lambda: database.listen(self._wake_up, stopped), interval=restart, stopping=stopped),
            side_task("crons", self._crons.run, interval=restart, stopping=self._stopping),
        ]

    def _put_on_record(self) -> None:
        self._registration.register()
        self._log_start()

    def _log_left(self) -> None:
        if counts := self._left_to_others.counts:
            self._log(
                logging.WARNING,
                "Executor %s ends, and has left functions to executors with other code, because its own does not know"
                " them or refuses their arguments: %s",
                ", ".join(f"{name} ({count:,})" for name, count in sorted(counts.items())),
            )

    def _log_start(self) -> None:
        connection = connections[self._database.using]
        self._log(
            logging.INFO,
            "Executor %s: django_scheduler %s, Django %s, %s %s, database %r, queues %s, concurrency %d",
            __version__,
            django.get_version(),
            connection.display_name,
            ".".join(map(str, connection.get_database_version())),
            self._database.using,
            ", ".join(self._queues) or "all",
            self._concurrency,
            database=self._database.using,
            queues=self._queues,
            concurrency=self._concurrency,
            version=__version__,
        )

    def _log(self, level: int, message: str, *arguments: object, **extra: Any) -> None:
        """Log a message about this executor, whose first argument is its name."""
        log_briefly(level, message, self.name, *arguments, executor=self.name, **extra)
