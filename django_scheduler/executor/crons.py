"""Crons: one thread of every executor sleeps until the next cron is due, and fires it.

Every executor does this, whatever queues it serves; which of them fires a cron is decided by who locks its row. Like
the poller it sleeps until the next time that it knows of, until it is woken (a cron may have been added), or for a poll
interval, ``POLLS`` times that of functions: both are short where the database does not pass wake-ups on. It is woken
for everything that is scheduled; wake-ups alone make it look at most once in ``WAKEUP_INTERVAL``.

An executor that ends by itself (``--once``, ``--drain``) fires what is due when it starts, and no more: if it went on
firing, it would never end.
"""

import logging
import time
from dataclasses import dataclass
from math import inf
from threading import Event

from django_scheduler.conf import get_settings
from django_scheduler.crons import Cron, firing, history, reconcile
from django_scheduler.databases import Database
from django_scheduler.executor.answer_timeout import awaiting_each_answer, awaiting_nothing
from django_scheduler.executor.poller import poll_interval
from django_scheduler.executor.session import executor_session
from django_scheduler.telemetry import log_of_crons as log

#: How often to look for due crons although nothing has woken the thread, in poll intervals of functions. On PostgreSQL
#: that is a minute, as between two upkeeps, so that one look follows each of them.
POLLS = 12

#: How often wake-ups make it look at most, in seconds.
WAKEUP_INTERVAL = 1.0

#: How often to look again at a due cron that somebody else holds, or that waits for its run, in seconds.
WAITING_INTERVAL = 0.5

#: How often to settle finished runs, and to check which release is in force, in seconds.
UPKEEP_INTERVAL = 60.0

#: How often to delete old history, in seconds.
RETENTION_INTERVAL = 3_600.0

#: How many crons are read in one statement.
ROWS_PER_STATEMENT = 100

#: For how long the start of an executor waits for the crons that are due then, in seconds.
START_TIMEOUT = 10.0


@dataclass(eq=False)
class CronPoller:
    """Fires due crons, and keeps their record in order, until the executor is stopping."""

    database: Database
    keeps_firing: bool
    stopping: Event

    def __post_init__(self) -> None:
        self._woken = Event()
        self._started = Event()
        self._next_upkeep = 0.0
        self._next_retention = 0.0

    def wake_up(self) -> None:
        """Have the thread look now: a cron may have been added, or it is time to stop."""
        self._woken.set()

    def wait_until_started(self) -> None:
        """Wait until the crons that are due at the start have been fired; not for long if the database is silent."""
        self._started.wait(START_TIMEOUT)

    def run(self) -> None:
        """Fire what is due until the executor is stopping; only once, if it ends by itself."""
        if not get_settings().CRONS or (self._started.is_set() and not self.keeps_firing):
            self._started.set()
            return
        with executor_session(self.database), awaiting_each_answer(self.database):
            try:
                _log_changes(reconcile.adopt(self.database))
                self._keep_in_order()
                wait = self._fire_what_is_due()
            finally:
                self._started.set()  # the executor starts to work, whatever happens to its crons
            while self.keeps_firing and self._sleep(wait):
                self._woken.clear()
                self._keep_in_order()
                wait = self._fire_what_is_due()

    def _fire_what_is_due(self) -> float:
        """Fire every cron that is due and can be fired; return how long to sleep then, in seconds."""
        waiting: list[int] = []
        while not self.stopping.is_set():
            due, next_due_in = self._look(besides=waiting)
            if not due:
                return min(next_due_in, WAITING_INTERVAL if waiting else POLLS * poll_interval(self.database))
            waiting += [cron_id for cron_id, name in due.items() if not self._fire(cron_id, name)]
        return 0.0

    def _look(self, *, besides: list[int]) -> tuple[dict[int, str], float]:
        """Return the ids and names of crons that are due, and the seconds until the next one is."""
        crons = Cron.objects.using(self.database.using).filter(next_time__isnull=False).exclude(pk__in=besides)
        rows = crons.annotate(now=self.database.now()).order_by("next_time")
        next_rows = list(rows.values_list("pk", "name", "next_time", "now")[:ROWS_PER_STATEMENT])
        due_in = [(next_time - now).total_seconds() for _, _, next_time, now in next_rows]
        due = {row[0]: row[1] for row, seconds in zip(next_rows, due_in, strict=True) if seconds <= 0}
        return due, min((seconds for seconds in due_in if seconds > 0), default=inf)

    def _fire(self, cron_id: int, name: str) -> bool:
        """Fire a due cron; return whether it need not be looked at again now."""
        if self.stopping.is_set():
            return False
        try:
            return firing.fire(self.database, cron_id)
        except Exception as error:
            if self.database.is_lost(error):
                raise
            if not self.database.is_conflict(error):
                message = "The cron %r cannot be fired now, and is tried again: %s"
                log(logging.ERROR, message, name, error, error=error, cron=name)
            return False

    def _keep_in_order(self) -> None:
        """Settle finished runs, check which release is in force, and delete old history, each in its own interval."""
        now = time.monotonic()
        if now >= self._next_upkeep:
            self._next_upkeep = now + UPKEEP_INTERVAL
            history.settle_finished_runs(self.database)
            reconcile.record_as_alive(self.database)
            if not reconcile.is_in_force(self.database):
                _log_changes(reconcile.adopt(self.database))
        if now >= self._next_retention:
            self._next_retention = now + RETENTION_INTERVAL
            history.delete_expired_history(self.database)

    def _sleep(self, seconds: float) -> bool:
        """Sleep for so long, or until woken or the next upkeep; return whether to go on."""
        now = time.monotonic()
        seconds = max(0.0, min(seconds, self._next_upkeep - now))
        earliest = now + min(seconds, WAKEUP_INTERVAL)
        with awaiting_nothing():
            if self._woken.wait(seconds):
                self.stopping.wait(max(0.0, earliest - time.monotonic()))
        return not self.stopping.is_set()


def _log_changes(changes: reconcile.Changes | None) -> None:
    for what, names in changes or ():
        if names:
            log(logging.INFO, "Crons %s: %s", what, ", ".join(names))
