"""Interventions: a scheduled function is run now, at another time, or once more, as part of the caller's transaction.

Run now and reschedule. The invariant: only a row that is pending, and that nobody else has locked, is moved. An
executing mutation holds the lock of its row, so it is neither moved nor waited for, which could take as long as its
body: it is reported as running. The same is true of an action in the moment in which it is claimed, and of a row that
another transaction changes. (SQLite locks no rows. There the update waits for the only writer, as every write does.) A
mutation that has been rolled back, and whose end is not on record yet, may be moved as well: then that end is dropped,
and it runs when it was moved to. Nobody waits for a lock, and rows are taken in the order of their ids, so two that
move the same rows do not deadlock.

Run again. A function that has ended is scheduled once more, as a new one that refers to it. The old record stays as it
is, so an action whose outcome is unknown stays ``lost``. The new one has the same arguments, in the form in which they
were stored, the callbacks of the old one, and whatever queue, priority and kind its function has by now. It is caused
by the request that runs it again; where there is none, by what had caused the old one. What middleware had added to the
context of the old one stays: whoever runs it again may be of another tenant, and speak another language. What a
function runs again is like anything else that it schedules: that function is its ``parent``, and it is canceled from
the start if that one has been canceled. A function that is declared with ``rerun=False`` never runs again.
"""

import json
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from django_scheduler.databases import DUE_AT_ONCE, NewRows, database_for, portions
from django_scheduler.functions import AnyFunction, registry
from django_scheduler.models import LARGEST_ID, UNFINISHED, ScheduledFunction, ScheduledFunctionId, State
from django_scheduler.record import callbacks, transitions, wakeup
from django_scheduler.scheduling import cancellation, commit_hook, enqueue
from django_scheduler.scheduling.cancellation import InterventionResult
from django_scheduler.scheduling.commit_hook import BULK, TransactionQuota
from django_scheduler.scheduling.running import KEYS_OF_REQUESTS, Running
from django_scheduler.times import parse_time
from django_scheduler.transactions import in_transaction
from django_scheduler.values import to_json

_RESULTS = {
    State.PENDING.value: InterventionResult.RUNNING,
    State.IN_PROGRESS.value: InterventionResult.IN_PROGRESS,
    State.CANCELED.value: InterventionResult.CANCELED,
}


def run_now(using: str, ids: Sequence[int], caller: Running | None = None) -> dict[int, InterventionResult]:
    """Make pending functions due at once, and return what became of each.

    One that waits for a limit keeps its place among those that do.
    """
    return _move(using, ids, DUE_AT_ONCE, caller)


def reschedule(
    using: str, ids: Sequence[int], when: datetime | float, caller: Running | None = None
) -> dict[int, InterventionResult]:
    """Make pending functions due at another time, and return what became of each. A time in the past means at once.

    ``when`` is an aware ``datetime`` or a number of milliseconds since the epoch. Raises ``InvalidSchedule``.
    """
    return _move(using, ids, parse_time(when), caller)


def _move(using: str, ids: Sequence[int], time: object, caller: Running | None) -> dict[int, InterventionResult]:
    # A mutation that executes holds the lock of its own row, so nothing else would keep it from moving itself.
    own_id = caller.id_in(using) if caller is not None else None

    def move() -> dict[int, InterventionResult]:
        results = dict.fromkeys(ids, InterventionResult.GONE)
        for portion in portions(_storable(ids)):
            movable = _lock_pending(using, [pk for pk in portion if pk != own_id])
            expiring = _that_expire_before(using, movable, time)
            results |= dict.fromkeys(expiring, InterventionResult.EXPIRES_BEFORE)
            movable = [pk for pk in movable if pk not in expiring]
            if movable:
                transitions.RESCHEDULE.apply_to_rows(database_for(using), movable, {"due_time": time})
            others = _states(using, {*portion}.difference(movable, expiring))
            results |= {pk: _RESULTS.get(state, InterventionResult.FINISHED) for pk, state in others.items()}
            results |= dict.fromkeys(movable, InterventionResult.DONE)
        if InterventionResult.DONE in results.values():
            wakeup.send_after_commit(using)
        return results

    return in_transaction(using, move)


def _that_expire_before(using: str, ids: Sequence[int], time: object) -> set[int]:
    """Return those of the functions that would never begin if they were due then, or now if that is past."""
    due_time = database_for(using).for_orm(timedelta(0) if time is DUE_AT_ONCE else time)
    rows = ScheduledFunction.objects.using(using).filter(pk__in=ids, attempts=0, expires_time__lt=due_time)
    return set(rows.values_list("pk", flat=True))


def _storable(ids: Sequence[int]) -> list[int]:
    """Return those of the ids that a row may have, in ascending order, and each once."""
    return sorted({pk for pk in ids if 0 < pk <= LARGEST_ID})


def _lock_pending(using: str, ids: Sequence[int]) -> list[int]:
    is_pending = database_for(using).is_in_state(State.PENDING)
    return list(_unlocked(using).filter(is_pending, pk__in=ids).order_by("pk").values_list("pk", flat=True))


def _states(using: str, ids: Collection[int]) -> dict[int, str]:
    """Return the states of functions that could not be locked as pending ones."""
    states = dict(ScheduledFunction.objects.using(using).filter(pk__in=ids).values_list("pk", "state"))
    # In a transaction that reads an older snapshot some may only seem to be pending. What is locked stays so.
    if seem_pending := [pk for pk, state in states.items() if state == State.PENDING]:
        states |= dict(_unlocked(using).filter(pk__in=seem_pending).values_list("pk", "state"))
    return states


def _unlocked(using: str) -> QuerySet[ScheduledFunction]:
    """Lock rows, as they are now, but for those that somebody else has locked."""
    database = database_for(using)
    rows = database.by_primary_key(ScheduledFunction.objects.using(using))
    return database.locking(rows, skip_locked=True)


def run_again(using: str, ids: Sequence[int], caller: Running | None = None) -> dict[int, InterventionResult]:
    """Schedule functions that have ended once more, due at once, and return what became of each.

    Raises ``TooManyScheduled`` or ``ArgumentsTooLarge`` if one transaction may not schedule so much in bulk.
    """
    results, _ = schedule_again(using, ids, caller, BULK)
    return results


def schedule_again(
    using: str, ids: Sequence[int], caller: Running | None, quotas: tuple[TransactionQuota, TransactionQuota]
) -> tuple[dict[int, InterventionResult], dict[int, ScheduledFunctionId]]:
    """Do what ``run_again`` does, and return the new ids too, by the old ones."""
    current = json.loads(enqueue.current_context(caller) or "{}")
    request = {key: value for key, value in current.items() if key in KEYS_OF_REQUESTS}
    parent_id = caller.id_in(using) if caller is not None else None

    def new_rows(
        function: AnyFunction, state: State, old_context: dict[str, Any] | None, old_callbacks: object
    ) -> NewRows:
        return NewRows(
            name=function.name,
            kind=function.kind,
            state=state,
            queue=function.queue,
            priority=function.priority,
            time=timedelta(0),
            parent_id=parent_id,
            context=_context_again(old_context, request),
            callbacks=callbacks.as_text(old_callbacks),
            expires=function.expires,
            fair_key=function.fair_key_in(function.queue),
            ordered_by=function.limit_of if function.keeps_order else None,
        )

    def schedule() -> tuple[dict[int, InterventionResult], dict[int, ScheduledFunctionId]]:
        results = dict.fromkeys(ids, InterventionResult.GONE)
        new_ids: dict[int, ScheduledFunctionId] = {}
        state = State.CANCELED if caller is not None and cancellation.is_canceled(caller) else State.PENDING
        columns = ("pk", "name", "kind", "state", "args", "context", "callbacks")
        for portion in portions(_storable(ids)):
            rows = ScheduledFunction.objects.using(using).filter(pk__in=portion).order_by("pk")
            #: In the order of the old ids: what those in a row have in common, so that few statements will do, and
            #: their arguments by the old ids.
            ended: list[tuple[NewRows, dict[int, str]]] = []
            for pk, name, kind, old_state, args, old_context, old_callbacks in rows.values_list(*columns):
                function = registry.find_recorded(name, kind)
                results[pk] = _may_run_again(function, old_state)
                if function is not None and results[pk] is InterventionResult.DONE:
                    rows_of_it = new_rows(function, state, old_context, old_callbacks)
                    if not ended or ended[-1][0] != rows_of_it:
                        ended.append((rows_of_it, {}))
                    ended[-1][1][pk] = to_json(args)
            new_ids |= _write(using, ended, quotas)
        return results, new_ids

    return in_transaction(using, schedule)


def _context_again(old: dict[str, Any] | None, request: dict[str, Any]) -> str | None:
    """Return, as JSON, what a function carries that runs again; ``request``: what is known of the one that runs it."""
    kept = {key: value for key, value in (old or {}).items() if not (request and key in KEYS_OF_REQUESTS)}
    return json.dumps(kept | request) if kept or request else None


def _may_run_again(function: AnyFunction | None, state: str) -> InterventionResult:
    if state in UNFINISHED:
        return InterventionResult.UNFINISHED
    if function is None:
        return InterventionResult.MISSING
    return InterventionResult.DONE if function.rerun else InterventionResult.NO_RERUN


def _write(
    using: str, ended: Sequence[tuple[NewRows, dict[int, str]]], quotas: tuple[TransactionQuota, TransactionQuota]
) -> dict[int, ScheduledFunctionId]:
    """Insert rows with these arguments, each of which refers to the function by whose id they are found here."""
    texts = [text for _, arguments in ended for text in arguments.values()]
    if not texts:
        return {}
    hook = commit_hook.count(using, quotas, len(texts), sum(map(len, texts)), "what is to run again")
    new_ids: dict[int, ScheduledFunctionId] = {}
    for rows, arguments in ended:
        ids = enqueue.insert(using, rows, list(arguments.values()))
        new_ids |= zip(arguments, ids, strict=True)
        wake = rows.state is State.PENDING
        commit_hook.tell_after_commit(using, hook, rows, ids, list(arguments.values()), wake=wake)
    links = [ScheduledFunction(pk=pk, rerun_of_id=old) for old, pk in new_ids.items()]
    ScheduledFunction.objects.using(using).bulk_update(links, ["rerun_of"], batch_size=500)
    return new_ids
