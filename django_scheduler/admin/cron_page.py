"""What the page of a cron shows: when it runs next, in its own zone and in the viewer's, and how it went."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString

from django_scheduler.admin.cron_form import PREVIEWED_RUNS
from django_scheduler.crons.calendar import next_runs
from django_scheduler.crons.models import Cron, CronRun, CronRunState, CronState
from django_scheduler.errors import InvalidSchedule
from django_scheduler.models import ScheduledFunction

#: How many records of a cron's history are shown.
SHOWN_RECORDS = 50


#: The look of a badge is that of a function's state.
LOOKS: dict[CronState | CronRunState, str] = {
    CronState.ACTIVE: "success",
    CronState.PAUSED: "paused",
    CronState.REMOVED: "canceled",
    CronRunState.SCHEDULED: "in_progress",
    CronRunState.SUCCESS: "success",
    CronRunState.FAILED: "failed",
    CronRunState.REFUSED: "failed",
    CronRunState.CANCELED: "canceled",
    CronRunState.SKIPPED: "canceled",
    CronRunState.MISSED: "canceled",
    CronRunState.UNKNOWN: "pending",
}


def badge(state: CronState | CronRunState) -> SafeString:
    """A state as an icon and a word."""
    look = {"state": LOOKS[state], "label": state.label}
    return render_to_string("admin/django_scheduler/includes/state.html", look)


def next_runs_of(cron: Cron) -> list[datetime]:
    if cron.next_time is None:
        return []
    try:
        later = next_runs(cron.schedule, cron.next_time, PREVIEWED_RUNS - 1, anchor=cron.anchor)
    except InvalidSchedule:
        return []
    return [cron.next_time, *later]


def in_both_zones(runs: list[datetime], zone: str) -> list[tuple[str, str]]:
    try:
        crons_zone = ZoneInfo(zone) if zone else None
    except (LookupError, ValueError, OSError):
        crons_zone = None
    return [(_to_the_second(run, crons_zone), _to_the_second(run)) for run in runs]


def history(cron: Cron) -> list[dict[str, Any]]:
    records = list(CronRun.objects.using(cron._state.db).filter(cron=cron).order_by("-pk")[:SHOWN_RECORDS])
    functions = ScheduledFunction.objects.using(cron._state.db)
    there = set(functions.filter(pk__in=[each.function_id for each in records]).values_list("pk", flat=True))
    return [
        {
            "slot": _to_the_second(record.slot),
            "last_slot": _to_the_second(record.last_slot) if record.slots > 1 else "",
            "slots": record.slots,
            "state": badge(CronRunState(record.state)),
            "completed": record.completed_time,
            "function": record.function_id if record.function_id in there else None,
            "error": record.error,
        }
        for record in records
    ]


def _to_the_second(time: datetime | None, zone: ZoneInfo | None = None) -> str:
    """Django's own formats leave the seconds and the offset out, and here they matter."""
    return date_format(timezone.localtime(time, zone), "Y-m-d H:i:s O") if time else "-"
