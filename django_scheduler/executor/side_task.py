"""A side task: what an executor does beside its work, repeatedly, in a thread of its own.

Whatever happens in it is logged and tried again with backoff. It never stops the work, nor another side task. It
is done at least once, however soon the executor stops.
"""

import logging
import threading
from collections.abc import Callable

from django.db import connections

from django_scheduler.log import log_of_executors as log

FIRST_WAIT, LONGEST_WAIT = 0.5, 5.0


class SideTask(threading.Thread):
    def __init__(self, name: str, task: Callable[[], None], *, interval: float, stopping: threading.Event) -> None:
        super().__init__(name=f"django_scheduler {name}", daemon=True)
        self._task_name = name
        self._task = task
        self._interval = interval
        self._stopping = stopping

    def run(self) -> None:
        wait_after_failure = FIRST_WAIT
        while True:
            try:
                self._run_once()
                wait = self._interval
                wait_after_failure = FIRST_WAIT
            except BaseException as error:
                wait = wait_after_failure
                wait_after_failure = min(wait_after_failure * 2, LONGEST_WAIT)
                self._log_failure(error, wait)
            if self._stopping.wait(wait):
                return

    def _run_once(self) -> None:
        try:
            self._task()
        finally:
            connections.close_all()

    def _log_failure(self, error: BaseException, wait: float) -> None:
        log(
            logging.WARNING,
            "The executor's %s failed and is repeated in %.1f s; its work goes on: %s",
            self._task_name,
            wait,
            error,
            error=error,
        )
