"""The supervisor: as many processes as asked for execute, whatever happens to one of them, until it is told to stop."""

import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from multiprocessing.connection import wait

from django_scheduler.databases import database_for
from django_scheduler.executor import Until, start_errand
from django_scheduler.supervisor.child import Assignment
from django_scheduler.supervisor.death import record_death
from django_scheduler.supervisor.process import Post, WorkerProcess
from django_scheduler.supervisor.stop_signals import StopSignals
from django_scheduler.telemetry import log_of_executors as log

#: For how long a process may take its leave when it is cut off, and the database may take to record what the dead
#: have left behind when the supervisor ends, in seconds.
PATIENCE = 4.0

#: How often ``meanwhile`` is called, in seconds.
INTERVAL = 0.5


class Supervisor:
    """Keeps ``processes`` processes at work on the same assignment."""

    def __init__(self, assignment: Assignment, *, processes: int) -> None:
        self._assignment = assignment
        self._database = database_for(assignment.using)
        self._ends_by_itself = Until[assignment.until] is not Until.STOPPED
        self._posts = [Post(self._start) for _ in range(processes)]
        self._records: list[Future[None]] = []
        self._ordered = 0
        self._deadline = float("inf")
        self._all_ended_well = True

    def run(self, signals: StopSignals, *, meanwhile: Callable[[], None] | None = None) -> bool:
        """Return when all processes have ended; whether none of them was cut off.

        ``meanwhile`` is called again and again.
        """
        log(
            logging.INFO,
            "The supervisor (process %d) keeps %s at work, with %d threads each",
            os.getpid(),
            "1 process" if len(self._posts) == 1 else f"{len(self._posts)} processes",
            self._assignment.concurrency,
        )
        while True:
            self._pass_on(signals.count)
            for post in self._posts:
                post.man()
            if not self._processes and all(post.seconds_until_start is None for post in self._posts):
                break
            self._wait(signals, INTERVAL if meanwhile else None)
            self._take_note()
            if meanwhile:
                meanwhile()
        _, unrecorded = wait_for_futures(self._records, timeout=PATIENCE)
        if unrecorded:
            log(
                logging.WARNING,
                "The supervisor ends before the database has recorded what %d dead processes have left behind. The"
                " next executor will record their actions as lost.",
                len(unrecorded),
            )
        log(logging.INFO, "The supervisor (process %d) has stopped", os.getpid())
        return self._all_ended_well

    @property
    def _processes(self) -> list[WorkerProcess]:
        return [process for post in self._posts for process in post.processes]

    def _start(self) -> WorkerProcess:
        return WorkerProcess(self._assignment)

    def _pass_on(self, requests: int) -> None:
        """Tell the processes what the signals say, and kill those that do not obey."""
        now = time.monotonic()
        if min(requests, 2) > self._ordered:
            self._ordered = min(requests, 2)
            self._deadline = now + PATIENCE + (self._assignment.grace if self._ordered == 1 else 0.0)
            for post in self._posts:
                post.close()
            for process in self._processes:
                process.order(self._ordered)
        if now > self._deadline:
            for process in self._processes:
                process.kill()

    def _wait(self, signals: StopSignals, interval: float | None) -> None:
        waits = [post.seconds_until_start for post in self._posts]
        if self._ordered:
            waits.append(max(0.1, self._deadline - time.monotonic()))
        signs = [sign for process in self._processes for sign in process.signs_of_life]
        timeout = min((seconds for seconds in (*waits, interval) if seconds is not None), default=None)
        if signals.bell in wait([signals.bell, *signs], timeout):
            signals.bell.recv_bytes()

    def _take_note(self) -> None:
        for post in self._posts:
            for process in tuple(post.processes):
                had_enough = process.has_done_enough
                process.listen()
                if process.has_done_enough and not had_enough:
                    log(
                        logging.INFO,
                        "Executor %s %s, and is being replaced",
                        process.executor_name,
                        process.has_done_enough,
                        executor=process.executor_name,
                    )
                if process.has_ended:
                    self._bury(process, post)

    def _bury(self, process: WorkerProcess, post: Post) -> None:
        process.listen()
        if process.ended_well and self._ends_by_itself:
            post.close()
        seconds = post.remove(process)
        if not process.ended_well:
            self._all_ended_well &= not process.was_cut_off
            if not process.was_cut_off:
                self._log_death(process, seconds)
        self._record_death(process)
        process.close()

    def _record_death(self, process: WorkerProcess) -> None:
        # Also of one that has ended well: the database may have kept it waiting when it took its leave.
        name, end = process.executor_name or "(not started)", process.end
        in_body = [] if process.was_cut_off else process.in_body
        self._records = [record for record in self._records if not record.done()]
        self._records.append(start_errand(lambda: record_death(self._database, name, in_body, end)))

    def _log_death(self, process: WorkerProcess, seconds: float) -> None:
        log(
            logging.ERROR,
            "Executor %s has died: its process %d ended (%s) %s. Another one is started in %.2f s.",
            process.executor_name or "(not started)",
            process.id,
            process.end,
            f"in the body of the functions {', '.join(map(str, process.in_body))}" if process.in_body else "in no body",
            seconds,
            executor=process.executor_name,
        )
