"""Callbacks are scheduled when a function or a batch ends, by the transaction that records the end.

So each is there exactly if the end is on record, also if the process dies right after that commit, and whoever records
it: the executor, the supervisor of one that has crashed, one that finds that another is gone, or a cancel.

They stand in the row of the function, bound and encoded since it was scheduled, so nothing of the project's is called
here. They belong to no transaction of the project's, so its limits do not count them.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from django.db import transaction

from django_scheduler import signals
from django_scheduler.databases import Database, NewRows, due_function_of
from django_scheduler.functions import AnyFunction, registry
from django_scheduler.models import Kind, ScheduledFunction, ScheduledFunctionId, State
from django_scheduler.record import wakeup
from django_scheduler.record.outcomes import BatchOutcome, Outcome
from django_scheduler.values import to_json

#: When a callback is scheduled: at every end, or at those that are no success.
COMPLETE, FAILURE = "complete", "failure"


class DueCallbacks(NamedTuple):
    """Has the callbacks of what has ended, and what they are told."""

    #: As JSON.
    callbacks: str
    #: What is known of the request that caused it, as JSON; it travels on to the callbacks.
    context: str | None
    #: Of the function; for a batch, of the one that has made it.
    parent_id: int | None
    #: With its result encoded.
    outcome: Outcome | BatchOutcome


def as_text(stored: object) -> str | None:
    """Return what the ORM has read from a JSON column as text, as a claim reads it."""
    return None if stored is None else json.dumps(stored)


def schedule_callbacks(database: Database, due: Iterable[DueCallbacks]) -> None:
    """Schedule the callbacks of what has ended, as part of the open transaction."""
    calls: dict[tuple[str, str | None], list[tuple[int | None, str]]] = {}
    for end in due:
        kind = type(end.outcome)
        outcome: Any = {"$dataclass": [f"{kind.__module__}:{kind.__qualname__}", vars(end.outcome)]}
        for callback in json.loads(end.callbacks):
            if callback.pop("on") == COMPLETE or not end.outcome.is_success:
                args = to_json({**callback.pop("args"), "outcome": outcome})
                calls.setdefault((json.dumps(callback), end.context), []).append((end.parent_id, args))
    for (common, context), each in calls.items():
        _schedule(database, json.loads(common), context, each)


def _schedule(
    database: Database, common: dict[str, Any], context: str | None, calls: list[tuple[int | None, str]]
) -> None:
    """Insert the calls of one callback, each with its parent."""
    function: AnyFunction | None = registry.find(common["name"])
    rows = NewRows(
        name=common["name"],
        kind=Kind(common["kind"]),
        state=State.PENDING,
        queue=common["queue"],
        priority=common["priority"],
        time=timedelta(0),
        parent_id=calls[0][0] if len(calls) == 1 else None,
        context=context,
        expires=None if common["expires"] is None else timedelta(seconds=common["expires"]),
        ordered_by=function.limit_of if function is not None and function.keeps_order else None,
        fair_key=None if function is None else function.fair_key_in(common["queue"]),
    )
    ids = database.insert(rows, [args for _, args in calls])
    if len(calls) > 1:
        children = [ScheduledFunction(pk=pk, parent_id=parent) for pk, (parent, _) in zip(ids, calls, strict=True)]
        ScheduledFunction.objects.using(database.using).bulk_update(children, ["parent"], batch_size=500)
    transaction.on_commit(partial(_tell, rows, ids, calls[0][1], database.using), using=database.using, robust=True)


def _tell(rows: NewRows, ids: Sequence[ScheduledFunctionId], first_args: str, using: str) -> None:
    """Wake the executors and send the signals of callbacks that were scheduled."""
    wakeup.send(using, due_function_of(rows, ids, [first_args]))
    signals.send_scheduled(rows.name, rows.kind, rows.queue, ids, using)
