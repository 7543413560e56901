"""What became of the slots of a cron, in the admin: how a run has ended is shown as soon as its function says it."""

from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Left
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from django_scheduler.admin.listing import LONGEST_ARGUMENTS, length_of, unless_longer
from django_scheduler.admin.search import shown_error
from django_scheduler.admin.times import to_the_second
from django_scheduler.crons import Cron, CronRun, CronRunState, CronState
from django_scheduler.masking import masked_text
from django_scheduler.models import UNFINISHED, ScheduledFunction

#: How many records of a cron's history are shown.
SHOWN_RECORDS = 50

#: How much of an error is shown there, in characters.
LONGEST_ERROR = 1_000

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
    """Return a state as an icon and a word."""
    look = {"state": LOOKS[state], "label": state.label}
    return render_to_string("admin/django_scheduler/includes/state.html", look)


def history(cron: Cron, functions: QuerySet[ScheduledFunction]) -> list[dict[str, Any]]:
    """Return what became of the latest slots, with those of the functions that are still to be seen."""
    records = list(CronRun.objects.using(cron._state.db).filter(cron=cron).order_by("-pk")[:SHOWN_RECORDS])
    functions = functions.only("state", "completed_time").annotate(
        error_start=Left("error", LONGEST_ERROR),
        args_length=length_of("args"),
        short_args=unless_longer("args", LONGEST_ARGUMENTS),
    )
    by_id: dict[int | None, Any] = {**functions.in_bulk([record.function_id for record in records])}
    return [_told(cron, record, by_id.get(record.function_id)) for record in records]


def _told(cron: Cron, run: CronRun, function: Any) -> dict[str, Any]:
    """Return what became of a slot. ``function``: what was scheduled for it, if that is still on record."""
    state = state_of(run, function.state if function else None)
    told: dict[str, Any] = {
        "id": run.pk,
        "slot": to_the_second(run.slot),
        "last_slot": to_the_second(run.last_slot) if run.slots > 1 else "",
        "slots": run.slots,
        "state": badge(state),
        "completed": run.completed_time,
        "function": function.pk if function else None,
        "error": run.error,
    }
    if function and state != run.state:
        told |= {"completed": function.completed_time, "error": function.error_start}
    # The cron may have been given other arguments since.
    error = shown_error(cron.function, told["error"], function.short_args) if function else told["error"]
    return {**told, "error": masked_text(cron.function, error, args=cron.args)}


def state_of(run: CronRun, function_state: str | None) -> CronRunState:
    """Return the state of a run; that of its function, where an executor has not come to copying that yet."""
    if run.state != CronRunState.SCHEDULED or function_state is None or function_state in UNFINISHED:
        return CronRunState(run.state)
    return CronRunState(function_state)  # the three ends are named alike
