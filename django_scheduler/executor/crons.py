"""Crons: one thread of every executor sleeps until the next of them is due, and fires it.

All executors do this, whatever queues they serve; which of them fires a cron is decided by who gets its row. Like the
lookout it sleeps until the next time that it knows of, until the bell rings (a cron may have been added), or for
``POLL_INTERVAL``. The bell rings for everything that is scheduled, so it is heard at most once in ``BELL_INTERVAL``.

An executor that ends by itself (``--once``, ``--drain``) fires what is due when it begins, and no more: it would never
come to its end if it went on.
"""

import logging
import time
from threading import Event

from django_scheduler.conf import get_settings
from django_scheduler.crons import (
    Changes,
    Cron,
    adopt,
    delete_expired_history,
    fire,
    is_in_force,
    settle_finished_runs,
    sign,
)
from django_scheduler.databases import Database
from django_scheduler.executor.session import executor_session
from django_scheduler.telemetry import log_of_crons as log

#: How often it looks although nothing woke it, in seconds.
POLL_INTERVAL = 10.0

#: How often it looks at most because something woke it, in seconds.
BELL_INTERVAL = 1.0

#: How often a due cron is looked at again that somebody else holds, or that waits for its run, in seconds.
WAITING_INTERVAL = 0.5

#: How often finished runs are settled, and the release in force is looked at, in seconds.
TENDING_INTERVAL = 60.0

#: How often old history goes, in seconds.
RETENTION_INTERVAL = 3_600.0

#: How many crons are looked at in one statement.
ROWS_PER_STATEMENT = 100

#: For how long an executor's beginning waits for that of the crons, in seconds.
PATIENCE = 10.0


class CronKeeper:
    """Fires due crons, and looks after their record, until the executor is stopping."""

    def __init__(self, database: Database, *, keeps_firing: bool, stopping: Event) -> None:
        self._database = database
        self._keeps_firing = keeps_firing
        self._stopping = stopping
        self._rung = Event()
        self._begun = Event()
        self._next_tending = 0.0
        self._next_retention = 0.0

    def ring(self) -> None:
        """A cron may have been added, or it is time to stop."""
        self._rung.set()

    def wait_for_beginning(self) -> None:
        """Wait until what is due at the beginning has been fired; not for long if the database does not answer."""
        self._begun.wait(PATIENCE)

    def keep(self) -> None:
        """Fire what is due until the executor is stopping; or once, if it ends by itself."""
        if not get_settings().CRONS or (self._begun.is_set() and not self._keeps_firing):
            self._begun.set()
            return
        with executor_session(self._database):
            try:
                _log_changes(adopt(self._database))
                self._tend()
                wait = self._fire_what_is_due()
            finally:
                self._begun.set()  # the work of the executor begins, whatever becomes of its crons
            while self._keeps_firing and self._sleep(wait):
                self._rung.clear()
                self._tend()
                wait = self._fire_what_is_due()

    def _fire_what_is_due(self) -> float:
        """Fire every cron that is due and can be fired, and how long to sleep then, in seconds."""
        waiting: list[int] = []
        while not self._stopping.is_set():
            due, next_due_in = self._look(besides=waiting)
            if not due:
                return min(next_due_in, WAITING_INTERVAL if waiting else POLL_INTERVAL)
            waiting += [cron_id for cron_id in due if not self._fire(cron_id)]
        return 0.0

    def _look(self, *, besides: list[int]) -> tuple[list[int], float]:
        """The crons that are due, and the seconds until the next one is."""
        crons = Cron.objects.using(self._database.using).filter(next_time__isnull=False).exclude(pk__in=besides)
        rows = crons.annotate(now=self._database.now()).order_by("next_time")
        next_rows = list(rows.values_list("pk", "next_time", "now")[:ROWS_PER_STATEMENT])
        due_in = [(next_time - now).total_seconds() for _, next_time, now in next_rows]
        due = [row[0] for row, seconds in zip(next_rows, due_in, strict=True) if seconds <= 0]
        return due, min((seconds for seconds in due_in if seconds > 0), default=POLL_INTERVAL)

    def _fire(self, cron_id: int) -> bool:
        if self._stopping.is_set():
            return False
        try:
            return fire(self._database, cron_id)
        except Exception as error:
            if self._database.is_lost(error):
                raise
            if not self._database.is_conflict(error):
                log(
                    logging.ERROR,
                    "The cron %s cannot be fired now, and is tried again: %s",
                    cron_id,
                    error,
                    error=error,
                )
            return False

    def _tend(self) -> None:
        now = time.monotonic()
        if now >= self._next_tending:
            self._next_tending = now + TENDING_INTERVAL
            settle_finished_runs(self._database)
            sign(self._database)
            if not is_in_force(self._database):
                _log_changes(adopt(self._database))
        if now >= self._next_retention:
            self._next_retention = now + RETENTION_INTERVAL
            delete_expired_history(self._database)

    def _sleep(self, seconds: float) -> bool:
        """Sleep for so long, or until the bell rings; whether to go on."""
        bell = time.monotonic() + BELL_INTERVAL
        wake_up_at = time.monotonic() + seconds
        if self._rung.wait(seconds):
            self._stopping.wait(max(0.0, min(bell, wake_up_at) - time.monotonic()))
        return not self._stopping.is_set()


def _log_changes(changes: Changes | None) -> None:
    for what, names in changes or ():
        if names:
            log(logging.INFO, "Crons %s: %s", what, ", ".join(names))
