"""An executor in a process that has something else to do: it serves a site.

The process neither waits for the executor nor fails because of it. A thread starts it, and tries again as long as the
database cannot be reached, or is not migrated. The end of the process waits for what is being executed, within the
grace, and for nothing else.
"""

import logging
import os
import sys
import threading

from django.apps import apps
from django.core import mail
from django.db import router

from django_scheduler.embedded.options import Options
from django_scheduler.executor import (
    IDLE_GRACE,
    Executor,
    log_briefly,
    start_in_background,
    stop_within,
)
from django_scheduler.models import ScheduledFunction
from django_scheduler.telemetry import log_of_executors as log
from django_scheduler.telemetry import show_log
from django_scheduler.transactions import DoublingWait

#: The first wait before it tries to start again, and the longest, in seconds: soon after `migrate` it executes.
FIRST_WAIT, LONGEST_WAIT = 0.5, 5.0

#: How often it looks whether it can still execute, in seconds.
LOOK_INTERVAL = 5.0


class EmbeddedExecutor:
    """Starts an executor in this process, after ``delay`` seconds or when it is told to, and ends it with the process.

    ``shows_log``: whether to show what is executed where no logging is configured.
    """

    def __init__(self, options: Options, *, delay: float, shows_log: bool) -> None:
        self.options = options
        self._delay = delay
        self._shows_log = shows_log
        self._is_to_start = threading.Event()
        self._waits_until_told = False
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._ending = threading.Lock()
        self._executor: Executor | None = None
        self._last_problem = ""
        self._thread = threading.Thread(target=self._run, name="django_scheduler embedded", daemon=True)

    def begin(self) -> None:
        """Wait for the delay in another thread, then start."""
        self._thread.start()

    def wait_until_told(self) -> None:
        """Do not start after the delay, but only when ``start_now`` is called."""
        self._waits_until_told = True

    def start_now(self) -> None:
        """Do not wait for the rest of the delay."""
        self._is_to_start.set()

    @property
    def has_started(self) -> bool:
        """Return whether it has begun to execute."""
        return self._executor is not None

    def end(self) -> None:
        """Begin nothing new, and return when what was being executed has ended, or is cut off because the process ends.

        What ends the process once more, a second Ctrl-C, cuts it off at once.
        """
        with self._ending:
            if executor := self._stop_starting():
                stop_within(executor, self.options.grace)

    def end_before_fork(self) -> None:
        """End, because this process is about to fork: the connections must not be there twice.

        What has not ended within the grace goes on, and its executor ends after it.
        """
        with self._ending:
            if executor := self._stop_starting():
                executor.stop()
                if not executor.wait(timeout=self.options.grace):
                    start_in_background(executor.wait)
            self._thread.join(timeout=1.0)  # Python warns of a fork beside other threads

    def _stop_starting(self) -> Executor | None:
        """Return the executor that has started, or is just starting, and is to be ended; the second time, none."""
        self._stopping.set()
        self._is_to_start.set()
        # An executor that is only starting would leave its row behind.
        if not self._starting.acquire(timeout=IDLE_GRACE):
            return None
        try:
            executor, self._executor = self._executor, None
            return executor
        finally:
            self._starting.release()

    def _run(self) -> None:
        apps.ready_event.wait()  # the other apps may have receivers and checks that are not there yet
        self._is_to_start.wait(self._delay)
        if self._waits_until_told:
            self._is_to_start.wait()
        waits = DoublingWait(first=FIRST_WAIT, longest=LONGEST_WAIT)
        while not self._stopping.is_set() and not self._start():
            self._stopping.wait(waits.next())
        self._watch()

    def _start(self) -> bool:
        """Start the executor if that is possible now, and return whether it was, or is no longer wanted."""
        with self._starting:
            if self._stopping.is_set() or runs_tests():
                return True
            try:
                if self._shows_log:
                    show_log(1)
                options = self.options
                executor = Executor(
                    using=options.using or router.db_for_write(ScheduledFunction),
                    concurrency=options.concurrency,
                    queues=options.queues,
                )
                executor.start()
            except Exception as error:
                self._log_problem(error)
                return False
            if self._stopping.is_set():  # it took so long to start that nobody waits any more for it to end
                executor.stop()
                executor.wait()
            else:
                self._executor = executor
            return True

    def _log_problem(self, error: Exception) -> None:
        """Log why it cannot start, once: it is tried every few seconds, and the site works meanwhile."""
        problem = str(error)
        if problem != self._last_problem:
            self._last_problem = problem
            log(
                logging.WARNING,
                "No scheduled function is executed in process %d yet. It is tried again every few seconds. Can the"
                " database be reached, and has `manage.py migrate` been run? %s",
                os.getpid(),
                error,
            )

    def _watch(self) -> None:
        """Log if the executor can execute nothing more, once; otherwise return when it is to end."""
        while not self._stopping.wait(LOOK_INTERVAL):
            if (executor := self._executor) and (why := executor.why_stuck):
                message = (
                    "Executor %s %s. It executes nothing more until process %d, which serves the site, is restarted."
                )
                log_briefly(logging.CRITICAL, message, executor.name, why, os.getpid(), executor=executor.name)
                return


def runs_tests() -> bool:
    """Return whether this process runs tests, which say themselves when anything is executed."""
    # The plugin is imported by every pytest that finds this package; the other is what Django sets up before tests.
    return "django_scheduler.pytest_plugin" in sys.modules or hasattr(mail, "outbox")
