"""The tables say what recurs, what became of each slot, and which versions of the code have defined crons.

They are apart from the table of scheduled functions, which stays as it is: a run is linked to its scheduled function
from here. Any code may read them; only this package writes them.

A process that decides about a cron holds the lock on its row: of several processes one decides, and the others see what
it has decided.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from django_scheduler.crons.cron_lines import CronLine
from django_scheduler.crons.line_syntax import LONGEST_LINE
from django_scheduler.crons.schedules import Interval, Schedule
from django_scheduler.databases import Database
from django_scheduler.models import UNCHECKED, ScheduledFunction

if TYPE_CHECKING:  # Django's fields are generic for type checkers, and not at run time
    from django.db.models import CharField as NameField
    from django.db.models import DateTimeField as InstantField
else:
    from django_scheduler.fields import InstantField, NameField

#: Another schedule has other slots, so the next run is computed anew when one of these columns changes.
SCHEDULE_COLUMNS = ("every", "line", "timezone")

LONGEST_NAME = 150
LONGEST_REASON = 1_000


class Origin(models.TextChoices):
    CODE = "code", _("code")
    RUN_TIME = "run_time", _("run time")


class CatchUpChoice(models.TextChoices):
    ONE = "one", _("one run for all that was missed")
    NONE = "none", _("nothing")
    ALL = "all", _("everything that was missed, one after the other")


class CronState(models.TextChoices):
    ACTIVE = "active", _("active")
    PAUSED = "paused", _("paused")
    REMOVED = "removed", _("no longer in the code")


class Cron(models.Model):
    """Is a function that recurs. ``next_time`` is null as long as the cron is paused, or no longer in the code."""

    id = models.BigAutoField(_("id"), primary_key=True)
    name = NameField(_("name"), max_length=LONGEST_NAME, unique=True)
    origin = models.CharField(_("origin"), max_length=16, choices=Origin.choices)
    function = NameField(_("function"), max_length=255)
    args = models.JSONField(_("arguments"))
    # Either an interval, or a line with its zone.
    every = models.DurationField(_("every"), null=True)
    line = models.CharField(_("cron line"), max_length=LONGEST_LINE, blank=True)
    timezone = models.CharField(_("time zone"), max_length=64, blank=True)
    #: A slot of the grid of an interval.
    anchor = InstantField(_("grid begins"))
    catch_up = models.CharField(
        _("catches up"), max_length=16, choices=CatchUpChoice.choices, default=CatchUpChoice.ONE
    )
    pause_after_failures = models.PositiveIntegerField(_("pauses after failures in a row"), null=True, blank=True)
    creation_time = InstantField(_("created"))
    next_time = InstantField(_("next run"), null=True, db_index=True)
    #: The last slot that is decided: no slot up to here comes up again, whatever the clock says.
    last_slot = InstantField(_("last slot"), null=True)
    last_run_id: int | None
    last_run = models.ForeignKey(
        "CronRun", verbose_name=_("last run"), null=True, db_index=False, related_name="+", **UNCHECKED
    )
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    paused_time = InstantField(_("paused"), null=True)
    paused_reason = models.CharField(_("reason"), max_length=LONGEST_REASON, blank=True)
    removed_time = InstantField(_("removed from the code"), null=True)

    class Meta:
        verbose_name = _("cron")
        verbose_name_plural = _("crons")
        permissions = [("pause_cron", _("Can pause and resume cron")), ("run_cron", _("Can run cron now"))]

    def __str__(self) -> str:
        return self.name

    @property
    def schedule(self) -> Schedule:
        """Return the schedule that its columns describe; see ``columns_of`` for the other direction.

        Raises ``InvalidSchedule`` if it cannot be computed any more, as when its zone is gone.
        """
        options: Any = {"catch_up": self.catch_up, "pause_after_failures": self.pause_after_failures}
        if self.every is not None:
            return Interval(every=self.every, **options)
        return CronLine(self.line, timezone=self.timezone, **options)

    @property
    def state(self) -> CronState:
        """Return whether it is active, paused, or no longer in the code."""
        if self.removed_time is not None:
            return CronState.REMOVED
        return CronState.ACTIVE if self.paused_time is None else CronState.PAUSED

    def set_columns(self, columns: Mapping[str, Any], now: datetime) -> None:
        """Set columns. Unless it is paused, compute its next time anew if its slots become others, or if it had none.

        Raises ``InvalidSchedule``.
        """
        before = [getattr(self, name) for name in SCHEDULE_COLUMNS]
        for name, value in columns.items():
            setattr(self, name, value)
        has_other_slots = before != [getattr(self, name) for name in SCHEDULE_COLUMNS]
        if self.paused_time is None and (has_other_slots or self.next_time is None):
            self.next_time = self.next_slot(now)

    def next_slot(self, now: datetime) -> datetime:
        """Return its next slot after a pause or a change of its schedule. No slot ever comes up twice.

        Raises ``InvalidSchedule``.
        """
        after = now if self.last_slot is None else max(now, self.last_slot)
        return self.schedule.next_after(after, anchor=self.anchor)


class CronRunState(models.TextChoices):
    SCHEDULED = "scheduled", _("scheduled")
    SUCCESS = "success", _("success")
    FAILED = "failed", _("failed")
    CANCELED = "canceled", _("canceled")
    UNKNOWN = "unknown", _("finished, its record is gone")
    REFUSED = "refused", _("could not be scheduled")
    SKIPPED = "skipped", _("skipped, the previous run was unfinished")
    MISSED = "missed", _("missed")


class CronRun(models.Model):
    """Says what became of a slot: a run, or why there was none. Slots in a row that have no run share a record."""

    id = models.BigAutoField(_("id"), primary_key=True)
    cron_id: int
    cron = models.ForeignKey(Cron, verbose_name=_("cron"), on_delete=models.CASCADE, related_name="runs")
    #: The slot, or the first of several in a row; null for a run that somebody asked for.
    slot = InstantField(_("slot"), null=True)
    last_slot = InstantField(_("last slot"), null=True)
    slots = models.PositiveIntegerField(_("slots"), default=1)
    state = models.CharField(_("state"), max_length=16, choices=CronRunState.choices)
    function_id: int | None
    function = models.ForeignKey(
        ScheduledFunction, verbose_name=_("scheduled function"), null=True, related_name="cron_runs", **UNCHECKED
    )
    time = InstantField(_("decided"))
    completed_time = InstantField(_("completed"), null=True)
    error = models.TextField(_("error"), blank=True)

    class Meta:
        verbose_name = _("run of a cron")
        verbose_name_plural = _("runs of crons")
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["cron", "slot"], name="django_scheduler_one_run_a_slot")]
        indexes = [models.Index(fields=["cron", "id"], name="django_scheduler_cron_history")]

    def __str__(self) -> str:
        return f"{self.cron_id} {self.slot or self.time}"


class CronRelease(models.Model):
    """Is a set of cron definitions that some version of the code has, or had: see ``reconcile.py``."""

    fingerprint = models.CharField(_("fingerprint"), max_length=64, primary_key=True)
    first_seen_time = InstantField(_("first seen"))
    #: The release in force is the one with the latest.
    in_force_time = InstantField(_("in force since"), null=True)
    #: When one of its executors was last known to be alive, or it was put into force.
    alive_time = InstantField(_("last alive"), null=True)

    class Meta:
        verbose_name = _("release of crons")
        verbose_name_plural = _("releases of crons")
        default_permissions = ()

    def __str__(self) -> str:
        return self.fingerprint


def columns_of(schedule: Schedule) -> dict[str, Any]:
    """Return the columns of ``Cron`` that describe a schedule, which is a cron's: see ``Schedule.for_cron``."""
    return {
        "every": schedule.every if isinstance(schedule, Interval) else None,
        "line": schedule.line if isinstance(schedule, CronLine) else "",
        "timezone": schedule.timezone if isinstance(schedule, CronLine) else "",
        "catch_up": schedule.catch_up,
        "pause_after_failures": schedule.pause_after_failures,
    }


def lock(database: Database, **conditions: Any) -> Cron | None:
    """Lock a cron for the open transaction, once nobody else holds it; return ``None`` if there is no such cron."""
    return _locking(database, skip_locked=False).filter(**conditions).first()


def lock_if_free(database: Database, **conditions: Any) -> Cron | None:
    """Lock a cron for the open transaction; return ``None`` if there is no such cron, or somebody else holds it."""
    return _locking(database, skip_locked=True).filter(**conditions).first()


def _locking(database: Database, *, skip_locked: bool) -> QuerySet[Cron]:
    # A run that refers to the cron can be recorded meanwhile.
    return database.locking(Cron.objects.using(database.using), skip_locked=skip_locked)
