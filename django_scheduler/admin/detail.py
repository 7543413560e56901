"""The page of one function shows its course in time, what it was given, what came of it, and who it is related to."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.db.models.functions import Left
from django.utils.translation import gettext as _

from django_scheduler.admin.followers import followed, followers
from django_scheduler.admin.listing import LARGE, Row, for_list, length_of, unless_longer
from django_scheduler.admin.outlook import Effect, effect_of
from django_scheduler.admin.readable import readable
from django_scheduler.admin.search import shown_error, shown_key
from django_scheduler.admin.times import age
from django_scheduler.databases import limit_browsing
from django_scheduler.masking import masked, masked_text
from django_scheduler.models import Batch, ScheduledFunction, State
from django_scheduler.record import BatchOutcome, Outcome
from django_scheduler.status import ExecutorStatus
from django_scheduler.values import JSONValue

A_SECOND, NO_TIME = timedelta(seconds=1), timedelta(0)

#: How many children are listed before a link to the rest.
CHILDREN = 20

#: Values of more characters than this are not loaded, and texts are cut off there.
LONGEST_VALUE, LONGEST_TEXT = 2_000_000, 50_000

#: What is offered to be copied, in characters.
LONGEST_COPY = 100_000


@dataclass(frozen=True, slots=True)
class Moment:
    """Describes a point in the course of a function."""

    label: str
    time: datetime | None
    #: ``done`` or ``ahead``.
    status: str = "done"
    #: What comes between it and the next one, and for how long; ``None`` if nothing worth telling.
    then: str = ""
    for_: timedelta | None = None


@dataclass(frozen=True, slots=True)
class EarlierAttempt:
    """Describes an attempt that was repeated, as it may be read."""

    #: When it ended.
    time: datetime
    executor: str
    error: str


@dataclass(frozen=True, slots=True)
class Shown:
    """Holds a stored value as it may be read."""

    html: str
    #: The same as JSON, to be copied; empty if it is too long.
    copy: str
    #: Its length, in characters, where it is too long to be shown.
    too_long: int = 0


def load(rows: QuerySet[ScheduledFunction], pk: int) -> ScheduledFunction | None:
    """Return the function without the values that are too large for a page, and with secrets in its error masked.

    What is secret among arguments that are too large is not known, so the traceback is left out then.
    """
    function: Any = (
        rows.defer(*LARGE)
        .annotate(
            args_length=length_of("args"),
            short_args=unless_longer("args", LONGEST_VALUE),
            result_length=length_of("result"),
            short_result=unless_longer("result", LONGEST_VALUE),
            short_error=Left("error", LONGEST_TEXT),
            short_traceback=Left("traceback", LONGEST_TEXT),
        )
        .filter(pk=pk)
        .first()
    )
    if function is not None:
        name, args = function.name, function.short_args
        function.shown_key = shown_key(name, function.key, args)
        function.shown_tenant = shown_key(name, function.tenant, args)
        function.short_error = shown_error(name, function.short_error, args)
        function.short_traceback = "" if args is None else masked_text(name, function.short_traceback, args=args)
    return cast("ScheduledFunction | None", function)


def shown(function: ScheduledFunction, column: str) -> Shown:
    """Return its arguments or its result."""
    length = int(getattr(function, f"{column}_length") or 0)
    if length > LONGEST_VALUE:
        return Shown("", "", length)
    args: JSONValue = None if column == "args" else getattr(function, "short_args", None)
    if column == "result" and args is None and getattr(function, f"short_{column}") is not None:
        return Shown("", "", length)  # what of it stands among the arguments that have not been read is not known
    value = masked(function.name, getattr(function, f"short_{column}"), args=args)
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return Shown(readable(value), text if len(text) <= LONGEST_COPY else "")


def timeline(function: ScheduledFunction, now: datetime) -> Iterator[Moment]:
    """Yield its course, from being scheduled to the end, or to what is still ahead."""
    due, started, completed = limit_browsing.due_time_of(function), function.started_time, function.completed_time
    # A retry has moved the due time, so nobody knows any more what was planned.
    planned = NO_TIME if function.attempts > 1 else due - function.creation_time
    yield Moment(
        _("Scheduled"), function.creation_time, "done", _("planned wait"), planned if planned >= A_SECOND else None
    )
    if function.state == State.PENDING:
        is_ahead = due > now
        yield Moment(_("Due"), due, "ahead" if is_ahead else "done", _("waiting"), None if is_ahead else now - due)
        yield Moment(_("Start"), None, "ahead")
        return
    yield Moment(_("Due"), due, "done", _("waited"), max(NO_TIME, started - due) if started else None)
    if started:
        running = _("ran") if completed else _("running")
        yield Moment(_("Started"), started, "done", running, max(NO_TIME, (completed or now) - started))
    if completed:
        yield Moment(str(State(function.state).label).capitalize(), completed)
    elif started:
        yield Moment(_("End"), None, "ahead")


def unknown_outcome(function: ScheduledFunction, executors: Iterable[ExecutorStatus]) -> str:
    """Say what the record does not say of an action that has begun, or is running as far as it says; else nothing.

    ``executors``: those on record.
    """
    if function.state == State.IN_PROGRESS:
        for executor in executors:
            if executor.name == function.executor and not executor.is_alive:
                return _(
                    "Its executor was last heard of %(age)s ago. If its process has ended, the next executor records"
                    " that the outcome is unknown, or begins it again if it is declared idempotent."
                ) % {"age": age(executor.silence)}
    elif effect_of(function) is Effect.GOES_ON:
        return _(
            "Its body had begun, and may have gone on: whether it has had its effect, and what it returned, is not on"
            " record."
        )
    return ""


def earlier_attempts(function: ScheduledFunction) -> Iterator[EarlierAttempt]:
    """Yield the attempts that were repeated, as far as they are on record, with secrets in their errors masked."""
    args: JSONValue = getattr(function, "short_args", None)
    for attempt in function.history or []:
        error = shown_error(function.name, attempt["error"], args)
        yield EarlierAttempt(datetime.fromisoformat(attempt["time"]), attempt["executor"], error)


def causes(function: ScheduledFunction) -> Iterator[tuple[str, str, str]]:
    """Yield what is known of the request that caused it, as it may be read: a label, a text, and what finds others."""
    labels = {"request_id": _("Request"), "user": _("User"), "user_id": _("Key of the user")}
    known = function.context or {}
    shown = masked(function.name, known)
    if not isinstance(shown, dict):
        return
    for name, value in shown.items():
        text = value if isinstance(value, str) else json.dumps(value)
        query = urlencode({"request": text}) if name == "request_id" and value == known.get(name) else ""
        yield labels.get(name, name), text, query


def relatives(rows: QuerySet[ScheduledFunction], function: ScheduledFunction) -> dict[str, Any]:
    """Return who scheduled it, whom it scheduled, what it follows, what it runs again, what ran it again, its batch."""
    row: Any = function
    args: JSONValue = row.short_args
    follows, follows_batch = followed(args, Outcome), followed(args, BatchOutcome)
    children = [Row(child) for child in for_list(rows.filter(parent=function.pk).order_by("-pk"))[: CHILDREN + 1]]
    brief = rows.only("pk", "name", "state")
    others = [pk for pk in (row.parent_id, row.rerun_of_id, follows) if pk]
    by_id = brief.in_bulk(others) if others else {}
    return {
        "children": children[:CHILDREN],
        "has_more_children": len(children) > CHILDREN,
        "parent": by_id.get(row.parent_id),
        "parent_id": row.parent_id,
        "follows": by_id.get(follows),
        "follows_id": follows,
        "follows_batch_id": follows_batch,
        "followers": list(followers(function, children)),
        "rerun_of": by_id.get(row.rerun_of_id),
        "rerun_of_id": row.rerun_of_id,
        "batch": Batch.objects.using(rows.db).filter(pk=row.batch_id).first() if row.batch_id else None,
        "reruns": list(brief.filter(rerun_of=function.pk).order_by("-pk")[:CHILDREN]),
    }
