"""Cancel functions that have not ended: all of them or none, as part of the caller's transaction.

The invariant: a function is canceled exactly if the one conditional update from ``pending`` or
``in_progress`` to ``canceled`` finds its row. Every completion is such an update too, so of a cancel and a
completion one wins, and the other finds nothing to change.

* Pending: the update takes the row's lock; executors skip locked rows, and a committed cancel is no longer
  pending. A rolled-back cancel leaves it as it was.
* An action in progress holds no lock: the update wins at once, and the action's own end, which asks for
  ``in_progress``, finds nothing.
* A mutation that is executing holds its row's lock until it has committed or vanished, so the update has to
  wait. On PostgreSQL we do not let it: the executor is interrupted, its transaction vanishes, and the lock is
  free (see ``databases/postgresql/interruption.py``). An interrupted mutation that we then do not cancel after all,
  because our own transaction rolls back, is pending with one more attempt: its executor took the interruption
  for a transient error, waited for our lock to record that, and found the row as it was.
* Elsewhere the update waits for the mutation's end, and the database's own lock timeout applies.

Two cancels of one row: the second waits for the first one's transaction and then sees ``canceled``.

The children of a canceled action: what it schedules from then on is inserted ``canceled`` (``is_canceled`` is asked
whenever a function schedules), also once retention has deleted its row. What it had scheduled before stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import Enum

from django.db.models import QuerySet

from django_scheduler.databases import database_for
from django_scheduler.errors import AlreadyFinished, CannotCancelSelf, UnknownScheduledFunction
from django_scheduler.functions import AnyReference, Function, Reference
from django_scheduler.models import LARGEST_ID, UNFINISHED, Kind, ScheduledFunction, State
from django_scheduler.record import transitions
from django_scheduler.scheduling.choosing import choose
from django_scheduler.scheduling.running import Running
from django_scheduler.transactions import in_transaction
from django_scheduler.values import short_repr


class InterventionResult(Enum):
    """Says what became of a function that somebody wanted to run now, at another time or again, or to cancel."""

    DONE = "done"
    #: Somebody has locked the row: a mutation that executes, an action that begins, or a transaction that changes it.
    RUNNING = "running"
    #: An action in progress: there is nothing left to move.
    IN_PROGRESS = "in progress"
    #: It has not ended yet, so it cannot run again.
    UNFINISHED = "unfinished"
    FINISHED = "finished"
    CANCELED = "canceled"
    #: The code no longer has a function of that name.
    MISSING = "missing"
    #: Only in the admin: its function is declared with ``admin=False``.
    KEPT_OUT = "kept out"
    #: It would expire before the time to which it was to be moved.
    EXPIRES_BEFORE = "expires before"
    #: Its function is declared with ``rerun=False``.
    NO_RERUN = "no rerun"
    #: The record does not have it: it never existed, or its retention has passed.
    GONE = "gone"


_RESULTS = {
    **{state.value: InterventionResult.DONE for state in UNFINISHED},
    State.CANCELED.value: InterventionResult.CANCELED,
}


def cancel(using: str, function_id: int, caller: Running | None) -> None:
    """Cancel a function, as ``Scheduler.cancel`` does."""
    check_id(function_id, "canceled", "cancel_all(function)")
    if caller is not None and caller.id_in(using) == function_id:
        raise CannotCancelSelf(
            f"The scheduled function {function_id} cannot cancel itself: return to end early, or raise to fail."
        )
    if caller is not None:
        caller.require_transaction(using, f"cancel the scheduled function {function_id}")
    if not 0 < function_id <= LARGEST_ID:
        raise unknown(function_id, "cancel")

    def cancel_it() -> None:
        database_for(using).lock_rows([function_id])
        if not _mark_canceled(using, [function_id]):
            _explain_why_not(using, function_id)

    in_transaction(using, cancel_it)


def cancel_all(
    using: str,
    caller: Running | None,
    *,
    function: AnyReference | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    args: Mapping[str, object] | None = None,
    batch_id: int | None = None,
) -> int:
    """Cancel functions as ``Scheduler.cancel_all`` does, in ascending order, so that two calls do not deadlock."""
    if caller is not None:
        caller.require_transaction(using, "cancel functions")
    chosen = choose(using, function=function, start=start, end=end, args=args, batch_id=batch_id)
    if caller is not None and (own_id := caller.id_in(using)) is not None:
        chosen = replace(chosen, rows=chosen.rows.exclude(pk=own_id))

    def cancel_them() -> int:
        canceled = 0
        for ids in chosen.ids():
            database_for(using).lock_rows(ids)
            canceled += _mark_canceled(using, chosen.still_of(_current_rows(using), ids))
        return canceled

    return in_transaction(using, cancel_them)


def cancel_each(using: str, ids: Sequence[int]) -> dict[int, InterventionResult]:
    """Cancel those of the functions that have not ended, and return what became of each."""

    def cancel_them() -> dict[int, InterventionResult]:
        results = dict.fromkeys(ids, InterventionResult.GONE)
        database_for(using).lock_rows(ids)
        for pk, state in _current_rows(using).filter(pk__in=ids).order_by("pk").values_list("pk", "state"):
            results[pk] = _RESULTS.get(state, InterventionResult.FINISHED)
        _mark_canceled(using, [pk for pk, result in results.items() if result is InterventionResult.DONE])
        return results

    return in_transaction(using, cancel_them)


def is_canceled(caller: Running) -> bool:
    """Return whether the scheduled function that is executing has been canceled meanwhile, or its row is gone.

    Only an action can be: the row of a mutation that executes is locked by it, so a cancel either waits until
    the mutation has committed or interrupts it, and what it had scheduled vanishes with it.

    A row is deleted only after its end is on record. While the body goes on, that is a cancel, or that it was taken for
    lost or its time was up; which of them it was, nobody knows any more.
    """
    if caller.function_id is None or caller.scheduled_kind is Kind.MUTATION:
        return False
    rows = ScheduledFunction.objects.using(caller.using)
    return not rows.filter(pk=caller.function_id).exclude(state=State.CANCELED).exists()


def _mark_canceled(using: str, ids: Sequence[int]) -> int:
    return transitions.CANCEL.apply_to_rows(database_for(using), ids)


def _explain_why_not(using: str, function_id: int) -> None:
    row = _current_rows(using).filter(pk=function_id).values_list("name", "state").first()
    if row is None:
        raise unknown(function_id, "cancel")
    name, state = row
    if state != State.CANCELED:
        raise AlreadyFinished(f"{name} {function_id} cannot be canceled: it has finished ({state}).")


def _current_rows(using: str) -> QuerySet[ScheduledFunction]:
    """Lock rows, to see them as they are now: a plain read could show an older snapshot.

    Not with the strongest lock, which would wait for somebody who inserts a row that refers to one of them.
    """
    database = database_for(using)
    return database.locking(database.by_primary_key(ScheduledFunction.objects.using(using)))


def check_id(function_id: object, participle: str, by_function: str = "") -> None:
    """Raise ``TypeError`` if something cannot be the id of a scheduled function.

    ``participle``: what was to be done with it, "canceled". ``by_function``: what does it with all of one function.
    """
    if isinstance(function_id, int) and not isinstance(function_id, bool):
        return
    match function_id:
        case ScheduledFunction():
            hint = " Pass its pk."
        case Function() | Reference() if by_function:
            hint = f" To do it with all calls of a function: {by_function}."
        case list() | tuple() | set() | QuerySet() if not by_function:
            hint = " Of several at once, those methods take the ids that end with _many."
        case _:
            hint = ""
    raise TypeError(
        f"{short_repr(function_id)} was not {participle}. The id of a scheduled function is an int, not"
        f" {type(function_id).__name__}.{hint}"
    )


def unknown(function_id: int, wanted: str) -> UnknownScheduledFunction:
    """Return the error that says that there is no such function; ``wanted``: "cancel"."""
    return UnknownScheduledFunction(
        f"There is no scheduled function {function_id} to {wanted}: it never existed, was rolled back, or"
        " ended so long ago that its record has been deleted."
    )
