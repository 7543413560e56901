"""Crons in a test fire when the test lets time pass, as executors fire them: at each of their slots, in order."""

from collections.abc import Iterator
from datetime import datetime

from django.utils import timezone

from django_scheduler.conf import get_settings
from django_scheduler.crons import Cron, CronRun, CronRunState, firing, history, reconcile
from django_scheduler.databases import Database
from django_scheduler.errors import SchedulerError
from django_scheduler.testing.agenda import Agenda
from django_scheduler.testing.execution import committing

#: How many slots one call fires: a cron that runs every minute has as many in a week.
MOST_SLOTS = 10_000


class CronsOfTest:
    """Fires the crons whose time comes while a test lets time pass."""

    def __init__(self, database: Database, agenda: Agenda) -> None:
        self._database = database
        self._agenda = agenda
        self.is_on = get_settings().CRONS
        self.fired = 0
        #: Those that have to wait for the end of their previous run.
        self._waiting: set[int] = set()
        if self.is_on:
            reconcile.adopt_what_is_missing(database)
        self._next = self._find_next()

    def next_time(self) -> datetime | None:
        """Return when a cron comes up next; ``None``: none does, as things stand."""
        return self._next.next_time if self._next and self.is_on else None

    def fire_due(self) -> list[BaseException]:
        """Fire what is due now, and return what is wrong with crons whose function could not be scheduled."""
        problems: list[BaseException] = []
        if self._agenda.has_news:
            self._next = self._find_next()
        while (cron := self._next) is not None and cron.next_time is not None and cron.next_time <= timezone.now():
            wakeups = self._agenda.wakeups
            with committing():
                has_decided = firing.fire(self._database, cron.pk)
            if has_decided:
                self.fired += 1
                if self._agenda.wakeups == wakeups:  # it has scheduled nothing
                    problems += self._refusal(cron)
            else:
                self._waiting.add(cron.pk)
            self._next = self._find_next()
        return problems

    def _refusal(self, cron: Cron) -> Iterator[BaseException]:
        run = CronRun.objects.using(self._database.using).filter(cron=cron).latest("pk")
        if run.state == CronRunState.REFUSED:
            yield SchedulerError(f"The cron {cron.name!r} could not schedule {cron.function}: {run.error}")

    def retry_waiting(self) -> None:
        """Look again at those that have waited for a run, because a function has ended."""
        if self._waiting:
            self._waiting.clear()
            self._next = self._find_next()

    def settle(self) -> None:
        """Record how the last runs have ended."""
        if self.fired:
            history.settle_finished_runs(self._database)

    def _find_next(self) -> Cron | None:
        crons = Cron.objects.using(self._database.using).filter(next_time__isnull=False)
        return crons.exclude(pk__in=self._waiting).order_by("next_time", "pk").first()
