"""The supervisor: it keeps as many child processes executing as were asked for, until it is told to stop.

A Python process uses about one core, so to use more of them takes several processes. And a process may die: a body that
crashes ends all of its threads, and its function, whose transaction vanishes, is due again at once. A process that
survives has to start another one, and to count. So a single process has a supervisor too.

The supervisor executes nothing, and holds no connection while no process ends.

Each child process has a place. A new one starts as a replacement, which takes over the place only once it executes; and
if the process that is there has merely asked to be replaced, it is told to retire only then. So a replacement costs no
capacity, but a process more for as long as the old one's functions take. A process that dies is replaced at once,
unless it had hardly started: then there is a wait, which doubles each time.
"""

import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from multiprocessing.connection import wait

from django_scheduler.databases import database_for
from django_scheduler.executor import Until, log_briefly, start_in_background
from django_scheduler.supervisor.alive_file import AliveFile
from django_scheduler.supervisor.child import ChildOptions
from django_scheduler.supervisor.death import names_of, record_death
from django_scheduler.supervisor.orphans import reap_orphans
from django_scheduler.supervisor.process import ChildProcess
from django_scheduler.supervisor.stop_signals import StopSignals
from django_scheduler.transactions import DoublingWait

#: How long a process that is to end at once may take, and how long the end of the supervisor waits for the database
#: to record what dead processes have left behind, in seconds.
END_TIMEOUT = 4.0

#: How often ``meanwhile`` is called, and how often it is looked for ends that nothing has told, in seconds.
INTERVAL, LOOK_INTERVAL = 0.5, 1.0

#: A process that has lived for so many seconds did not die of its start.
LONG_ENOUGH = 10.0


class Supervisor:
    """Keeps ``processes`` child processes executing with the same options."""

    def __init__(self, options: ChildOptions, *, processes: int, alive_file: AliveFile | None = None) -> None:
        self._options = options
        self._alive_file = alive_file
        self._database = database_for(options.using)
        self._ends_by_itself = Until[options.until] is not Until.STOPPED
        self._kept_processes = [KeptProcess(options) for _ in range(processes)]
        self._records: list[Future[None]] = []
        self._stop_requests = 0
        self._deadline = float("inf")
        self._all_ended_well = True

    def run(self, signals: StopSignals, *, meanwhile: Callable[[], object] | None = None) -> bool:
        """Run until all child processes have ended, and return whether none of them had to be cut off.

        ``meanwhile`` is called again and again.
        """
        log_briefly(
            logging.INFO,
            "The supervisor (process %d) keeps %s running, with %d threads each",
            os.getpid(),
            "1 process" if len(self._kept_processes) == 1 else f"{len(self._kept_processes)} processes",
            self._options.concurrency,
        )
        while True:
            self._pass_on(signals.count)
            for kept in self._kept_processes:
                kept.fill()
            if not self._processes and all(kept.seconds_until_start is None for kept in self._kept_processes):
                break
            self._wait(signals, INTERVAL if meanwhile else LOOK_INTERVAL)
            for kept in self._kept_processes:
                for process in kept.processes:
                    self._look_at(process, kept)
            if self._alive_file and not any(process.is_silent for process in self._processes):
                self._alive_file.touch()
            reap_orphans(besides={process.id for process in self._processes})
            if meanwhile:
                meanwhile()
        _, unrecorded = wait_for_futures(self._records, timeout=END_TIMEOUT)
        if unrecorded:
            log_briefly(
                logging.WARNING,
                "The supervisor ends before the database has recorded the end of %d processes. The next executor"
                " records their actions as lost.",
                len(unrecorded),
            )
        log_briefly(logging.INFO, "The supervisor (process %d) has stopped", os.getpid())
        return self._all_ended_well

    @property
    def _processes(self) -> list[ChildProcess]:
        return [process for kept in self._kept_processes for process in kept.processes]

    def _pass_on(self, requests: int) -> None:
        """Tell the processes to stop as the signals say, and kill those that have not ended in time."""
        now = time.monotonic()
        if min(requests, 2) > self._stop_requests:
            self._stop_requests = min(requests, 2)
            self._deadline = now + END_TIMEOUT + (self._options.grace if self._stop_requests == 1 else 0.0)
            for kept in self._kept_processes:
                kept.close()
            for process in self._processes:
                process.stop(self._stop_requests)
        if now > self._deadline:
            for process in self._processes:
                process.kill()

    def _wait(self, signals: StopSignals, interval: float) -> None:
        """Wait for a message, an end or a signal, and at most until there is something to do without one.

        A program that a body has started may have inherited the pipe whose end tells of the end of its process. So
        processes are also looked at after ``interval``.
        """
        waits: list[float | None] = [kept.seconds_until_start for kept in self._kept_processes]
        if self._stop_requests:
            waits.append(max(0.1, self._deadline - time.monotonic()))
        else:
            waits.append(signals.seconds_left)
        timeout = min((seconds for seconds in (*waits, interval) if seconds is not None), default=None)
        waitables = [waitable for process in self._processes for waitable in process.waitables]
        if signals.wakeup in wait([signals.wakeup, *waitables], timeout):
            signals.wakeup.recv_bytes()

    def _look_at(self, process: ChildProcess, kept: "KeptProcess") -> None:
        had_asked = process.replacement_reason
        process.receive()
        if process.replacement_reason and not had_asked:
            name, reason = process.executor_name, process.replacement_reason
            level = logging.ERROR if process.is_stuck else logging.INFO
            log_briefly(level, "Executor %s %s, and is being replaced", name, reason, executor=name)
        if process.has_ended:
            self._remove(process, kept)

    def _remove(self, process: ChildProcess, kept: "KeptProcess") -> None:
        process.receive()  # what it sent in its last moment
        if process.ended_well and self._ends_by_itself:
            kept.close()
        seconds = kept.remove(process)
        if not process.ended_well:
            if process.was_asked_to_stop:
                self._all_ended_well = False
            elif not process.was_to_end:
                self._log_death(process, seconds)
        self._record_death(process)
        process.close()

    def _record_death(self, process: ChildProcess) -> None:
        # Also of one that has ended well: the database may have been too slow for it to remove its row.
        name, end = process.executor_name or "(not started)", process.end
        in_body = [] if process.was_to_end else process.running_ids
        self._records = [record for record in self._records if not record.done()]
        self._records.append(start_in_background(lambda: record_death(self._database, name, in_body, end)))

    def _log_death(self, process: ChildProcess, seconds: float) -> None:
        functions = ", ".join(names_of(self._database, process.running_ids))
        log_briefly(
            logging.ERROR,
            "Executor %s has died: its process %d ended (%s) %s. Another one is started in %.2f s.",
            process.executor_name or "(not started)",
            process.id,
            process.end,
            f"in the body of {functions}" if functions else "in no body",
            seconds,
            executor=process.executor_name,
        )


class KeptProcess:
    """Keeps one child process executing: it holds the one that executes, its replacement, and those about to end."""

    def __init__(self, options: ChildOptions) -> None:
        self._options = options
        self._current: ChildProcess | None = None
        self._replacement: ChildProcess | None = None
        self._ending: list[ChildProcess] = []
        self._waits = DoublingWait(first=0.25, longest=30.0)
        self._not_before = 0.0
        self._is_closed = False

    @property
    def processes(self) -> list[ChildProcess]:
        return [process for process in (*self._ending, self._current, self._replacement) if process]

    @property
    def seconds_until_start(self) -> float | None:
        """Return how long it is until another process has to be started; ``None`` where none has to."""
        if self._is_closed or self._replacement or (self._current and not self._current.replacement_reason):
            return None
        return max(0.0, self._not_before - time.monotonic())

    def fill(self) -> None:
        """Start a process if one is needed, and let a replacement that executes take over."""
        if self._replacement and self._replacement.has_started:
            if self._current:
                self._current.retire()
                self._ending.append(self._current)
            self._current, self._replacement = self._replacement, None
        if self.seconds_until_start == 0:
            self._replacement = ChildProcess(self._options)

    def close(self) -> None:
        """Start no further process here."""
        self._is_closed = True

    def remove(self, process: ChildProcess) -> float:
        """Remove a process that has ended, and return in how many seconds another one starts, if one has to."""
        if process in self._ending:
            self._ending.remove(process)
            return 0.0
        if process is self._current:
            self._current = None
        else:
            self._replacement = None
        if process.ended_well or process.age >= LONG_ENOUGH:
            self._waits.reset()
            wait_before_start = 0.0
        else:
            wait_before_start = self._waits.next()
        self._not_before = time.monotonic() + wait_before_start
        return wait_before_start
