"""People cancel functions, run them now or again, and reschedule them: what each action is, and who may do what.

Seeing takes a permission, and each thing that can be done takes one of its own besides.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from django_scheduler.functions import registry
from django_scheduler.models import UNFINISHED, ScheduledFunction, State
from django_scheduler.scheduling import InterventionResult as Result
from django_scheduler.scheduling import cancellation, interventions


@dataclass(frozen=True, slots=True)
class Action:
    """Describes something that people do with scheduled functions."""

    name: str
    label: Any
    #: What confirming it will do.
    explanation: Any
    #: What has become of ``%(count)d`` functions to which it happened.
    done: Any
    #: In which states it is legal.
    states: tuple[State, ...]
    #: Does it to functions of a database, with a time if it ``needs_time``, and returns what became of each.
    run: Callable[[str, Sequence[int], datetime | None], dict[int, Result]]
    needs_time: bool = False
    is_destructive: bool = False
    #: Whether it does a second time what functions did.
    repeats: bool = False

    def summary(self, outcomes: Mapping[Result, int]) -> str:
        """Return ``12 canceled, 1 had already finished``."""
        wordings = {Result.DONE: self.done, **_NOT_DONE}
        parts = [wordings[outcome] % {"count": outcomes[outcome]} for outcome in wordings if outcomes.get(outcome)]
        return ", ".join(parts) or str(_("Nothing was selected."))


_NOT_DONE: dict[Result, Any] = {
    Result.RUNNING: ngettext_lazy("%(count)d is running right now", "%(count)d are running right now", "count"),
    Result.IN_PROGRESS: ngettext_lazy("%(count)d is in progress", "%(count)d are in progress", "count"),
    Result.UNFINISHED: ngettext_lazy("%(count)d has not finished yet", "%(count)d have not finished yet", "count"),
    Result.FINISHED: ngettext_lazy("%(count)d had already finished", "%(count)d had already finished", "count"),
    Result.CANCELED: ngettext_lazy("%(count)d was canceled already", "%(count)d were canceled already", "count"),
    Result.EXPIRES_BEFORE: ngettext_lazy("%(count)d expires before that", "%(count)d expire before that", "count"),
    Result.MISSING: ngettext_lazy(
        "%(count)d has no function in the code any more", "%(count)d have no function in the code any more", "count"
    ),
    Result.KEPT_OUT: ngettext_lazy(
        "%(count)d is of a function that is kept out of the admin (admin=False)",
        "%(count)d are of functions that are kept out of the admin (admin=False)",
        "count",
    ),
    Result.NO_RERUN: ngettext_lazy(
        "%(count)d is of a function that may not run again (rerun=False)",
        "%(count)d are of functions that may not run again (rerun=False)",
        "count",
    ),
    Result.GONE: ngettext_lazy("%(count)d is no longer on record", "%(count)d are no longer on record", "count"),
}


def _reschedule(using: str, ids: Sequence[int], when: datetime | None) -> dict[int, Result]:
    assert when is not None
    return interventions.reschedule(using, ids, when)


def _run_again(using: str, ids: Sequence[int], when: datetime | None) -> dict[int, Result]:
    names = ScheduledFunction.objects.using(using).filter(pk__in=ids).values_list("pk", "name")
    kept_out = {pk for pk, name in names if not is_for_people(name)}
    outcomes = interventions.run_again(using, [pk for pk in ids if pk not in kept_out])
    return dict.fromkeys(kept_out, Result.KEPT_OUT) | outcomes


ACTIONS = {
    action.name: action
    for action in (
        Action(
            "run_now",
            _("Run now"),
            _("What is pending becomes due at once, and runs as soon as an executor is free."),
            ngettext_lazy("%(count)d is due now", "%(count)d are due now", "count"),
            (State.PENDING,),
            lambda using, ids, when: interventions.run_now(using, ids),
        ),
        Action(
            "reschedule",
            _("Reschedule"),
            _("What is pending becomes due at another time."),
            ngettext_lazy("%(count)d rescheduled", "%(count)d rescheduled", "count"),
            (State.PENDING,),
            _reschedule,
            needs_time=True,
        ),
        Action(
            "run_again",
            _("Run again"),
            _(
                "What has finished is scheduled once more, as a new function with the same arguments and callbacks."
                " What it has done already, it may do a second time."
            ),
            ngettext_lazy("%(count)d scheduled again", "%(count)d scheduled again", "count"),
            (State.SUCCESS, State.FAILED, State.CANCELED),
            _run_again,
            repeats=True,
        ),
        Action(
            "cancel",
            _("Cancel"),
            _(
                "What is pending never runs. A mutation that is executing is rolled back on PostgreSQL; on other"
                " databases it ends first, and is then not canceled. An action in progress goes on, but what it returns"
                " is dropped, and what it schedules from then on is canceled. This cannot be undone."
            ),
            ngettext_lazy("%(count)d canceled", "%(count)d canceled", "count"),
            UNFINISHED,
            lambda using, ids, when: cancellation.cancel_each(using, ids),
            is_destructive=True,
        ),
    )
}


def is_for_people(name: str) -> bool:
    """Return whether people may have the function of that name run: ``admin=False`` of its decorator forbids it."""
    function = registry.find(name)
    return function is None or function.admin


def may(request: HttpRequest, codename: str) -> bool:
    """Return whether the user has a permission of this app, such as ``"run_cron"``."""
    user: Any = request.user  # of whatever model
    return bool(user.has_perm(f"django_scheduler.{codename}"))


def may_view(request: HttpRequest) -> bool:
    """Return whether the user may see scheduled functions, and how the scheduler is doing."""
    return may(request, "view_scheduledfunction")


def may_act(request: HttpRequest, action: Action) -> bool:
    """Return whether the user may do this to functions: who may not see them may not."""
    return may_view(request) and may(request, f"{action.name}_scheduledfunction")


def may_pause(request: HttpRequest) -> bool:
    """Return whether the user may pause and resume queues."""
    return may_view(request) and may(request, "pause_queue")


def may_change_limits(request: HttpRequest) -> bool:
    """Return whether the user may set other numbers of limits than the code says."""
    return may_view(request) and may(request, "change_limit")


def may_release_slots(request: HttpRequest) -> bool:
    """Return whether the user may take slots of limits from functions."""
    return may_view(request) and may(request, "release_slot")
