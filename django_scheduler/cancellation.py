"""Cancel: of whatever state, all or nothing, as part of the caller's transaction.

The invariant: a function is canceled exactly if the one conditional update from ``pending`` or
``in_progress`` to ``canceled`` finds its row. Every completion is such an update too, so of a cancel and a
completion one wins, and the other finds nothing to change.

* Pending: the update takes the row's lock; executors skip locked rows, and a committed cancel is no longer
  pending. A rolled-back cancel leaves it as it was.
* An action in progress holds no lock: the update wins at once, and the action's own end, which asks for
  ``in_progress``, finds nothing.
* A mutation that is executing holds its row's lock until it has committed or vanished, so the update has to
  wait. On PostgreSQL we do not let it: the lock is asked for with a time limit, and whenever that passes the
  executor that holds it is interrupted, first by canceling its statement (milliseconds), then, for a body that
  is not in a statement, by ending its session. Its transaction vanishes and the lock is free. Another executor
  may claim the row before we get it, since the row is pending again; then we interrupt that one. An
  interrupted mutation that we then do not cancel after all, because our own transaction rolls back, is pending
  with one more attempt: its executor took the interruption for a transient error, waited for our lock to
  record that, and found the row as it was.
* Elsewhere the update waits for the mutation's end, and the database's own lock timeout applies.

Two cancels of one row: the second waits for the first one's transaction and then sees ``canceled``.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connections, transaction
from django.db.models import QuerySet

from django_scheduler.databases import database_for
from django_scheduler.errors import AlreadyFinished, CannotCancelSelf, UnknownScheduledFunction
from django_scheduler.models import UNFINISHED, ScheduledFunction, ScheduledFunctionId, State
from django_scheduler.references import resolve
from django_scheduler.running import Running

ROWS_PER_STATEMENT = 1_000


def cancel(using: str, function_id: ScheduledFunctionId, caller: Running | None) -> None:
    """``Scheduler.cancel``."""
    if isinstance(function_id, bool) or not isinstance(function_id, int):
        raise TypeError(f"The id of a scheduled function is an int, not {type(function_id).__name__}.")
    if caller is not None and caller.using == using and caller.function_id == function_id:
        raise CannotCancelSelf(
            f"The scheduled function {function_id} cannot cancel itself: return to end early, or raise to fail."
        )
    with transaction.atomic(using=using):
        database_for(using).lock_row(function_id)
        if not _mark_canceled(using, [function_id]):
            _explain_why_not(using, function_id)


def cancel_all(
    using: str,
    caller: Running | None,
    *,
    function: Any = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> int:
    """``Scheduler.cancel_all``: first every row that is free, then those that a mutation holds, one by one."""
    chosen = ScheduledFunction.objects.using(using).filter(state__in=UNFINISHED).order_by("pk")
    if caller is not None and caller.function_id is not None:
        chosen = chosen.exclude(pk=caller.function_id)
    if function is not None:
        # A name is taken as it is, so that what is left of a function that is gone can be canceled.
        chosen = chosen.filter(name=function if isinstance(function, str) else resolve(function).name)
    if start is not None:
        chosen = chosen.filter(due_time__gte=start)
    if end is not None:
        chosen = chosen.filter(due_time__lt=end)
    with transaction.atomic(using=using):
        canceled = _cancel_free_rows(using, chosen)
        for function_id in list(chosen.values_list("pk", flat=True)):
            database_for(using).lock_row(function_id)
            canceled += _mark_canceled(using, [function_id])
    return canceled


def _cancel_free_rows(using: str, chosen: QuerySet[ScheduledFunction]) -> int:
    features = connections[using].features
    free = chosen.select_for_update(
        skip_locked=features.has_select_for_update_skip_locked, no_key=features.has_select_for_no_key_update
    )
    canceled, last = 0, 0
    while ids := list(free.filter(pk__gt=last).values_list("pk", flat=True)[:ROWS_PER_STATEMENT]):
        canceled += _mark_canceled(using, ids)
        last = ids[-1]
    return canceled


def _mark_canceled(using: str, ids: Sequence[int]) -> int:
    rows = ScheduledFunction.objects.using(using).filter(pk__in=ids, state__in=UNFINISHED)
    return rows.update(state=State.CANCELED, completed_time=database_for(using).now())


def _explain_why_not(using: str, function_id: int) -> None:
    # The row as it is now: a plain read could show the snapshot of a transaction that began earlier.
    rows = ScheduledFunction.objects.using(using).select_for_update().filter(pk=function_id)
    row = rows.values_list("name", "state").first()
    if row is None:
        raise UnknownScheduledFunction(
            f"There is no scheduled function {function_id} to cancel: it never existed, was rolled back, or"
            " finished so long ago that its record has been deleted."
        )
    name, state = row
    if state != State.CANCELED:
        raise AlreadyFinished(f"{name} {function_id} cannot be canceled: it has finished ({state}).")
