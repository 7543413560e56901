"""Interventions: a scheduled function is run now, at another time, or once more.

Run now and reschedule. The invariant: only a row that is pending, and that nobody else has locked, is moved. An
executing mutation holds the lock of its row, so it is neither moved nor waited for, which could take as long as its
body: it is reported as running. The same is true of an action in the moment in which it is claimed, and of a row that
is being canceled. (SQLite locks no rows. There the update waits for the only writer, as every write does.) A mutation
that met a transient error just before may still record its own retry time over the new one.

Run again. A function that has ended is scheduled once more, as a new one that refers to it. The old record stays as it
is, so an action whose outcome is unknown stays ``lost``. The new one has the same arguments, in the form in which they
were stored, and whatever queue, priority and kind its function has by now. It is caused by the request that runs it
again; where there is none, by what had caused the old one. A function that is declared with ``rerun=False`` never runs
again.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connections

from django_scheduler.databases import NewRows, database_for
from django_scheduler.functions import AnyFunction, registry
from django_scheduler.models import UNFINISHED, ScheduledFunction, State
from django_scheduler.record import transitions
from django_scheduler.scheduling import commit_hook, enqueue, wakeup
from django_scheduler.scheduling.cancellation import InterventionResult
from django_scheduler.scheduling.commit_hook import BULK
from django_scheduler.times import parse_time
from django_scheduler.transactions import in_transaction
from django_scheduler.values import to_json

_RESULTS = {
    State.PENDING.value: InterventionResult.RUNNING,
    State.IN_PROGRESS.value: InterventionResult.IN_PROGRESS,
    State.CANCELED.value: InterventionResult.CANCELED,
}


def run_now(using: str, ids: Sequence[int]) -> dict[int, InterventionResult]:
    """Make pending functions due at once, and return what became of each."""
    return _move(using, ids, timedelta(0))


def reschedule(using: str, ids: Sequence[int], when: datetime | float) -> dict[int, InterventionResult]:
    """Make pending functions due at another time, and return what became of each. A time in the past means at once.

    ``when`` is an aware ``datetime`` or a number of milliseconds since the epoch. Raises ``InvalidSchedule``.
    """
    return _move(using, ids, parse_time(when))


def _move(using: str, ids: Sequence[int], time: timedelta | datetime) -> dict[int, InterventionResult]:
    def move() -> dict[int, InterventionResult]:
        movable = _lock_pending(using, ids)
        if movable:
            rows = ScheduledFunction.objects.using(using).filter(pk__in=movable)
            transitions.RESCHEDULE.apply_to_rows(database_for(using), rows, {"due_time": time})
        wakeup.send_after_commit(using)
        rows = ScheduledFunction.objects.using(using).filter(pk__in=set(ids) - set(movable))
        others = {pk: _RESULTS.get(state, InterventionResult.FINISHED) for pk, state in rows.values_list("pk", "state")}
        return dict.fromkeys(ids, InterventionResult.GONE) | others | dict.fromkeys(movable, InterventionResult.DONE)

    return in_transaction(using, move)


def _lock_pending(using: str, ids: Sequence[int]) -> list[int]:
    features = connections[using].features
    rows = ScheduledFunction.objects.using(using).select_for_update(
        skip_locked=features.has_select_for_update_skip_locked, no_key=features.has_select_for_no_key_update
    )
    is_pending = database_for(using).is_in_state(State.PENDING)
    return list(rows.filter(is_pending, pk__in=ids).order_by("pk").values_list("pk", flat=True))


def run_again(using: str, ids: Sequence[int]) -> dict[int, InterventionResult]:
    """Schedule functions that have ended once more, due at once, and return what became of each.

    Raises ``TooManyScheduled`` or ``ArgumentsTooLarge`` if one transaction may not schedule so much in bulk.
    """

    context = enqueue.current_context(None)

    def schedule() -> dict[int, InterventionResult]:
        results = dict.fromkeys(ids, InterventionResult.GONE)
        rows = ScheduledFunction.objects.using(using).filter(pk__in=ids).order_by("pk")
        #: In the order of the old ids: what those in a row have in common, so that few statements will do, and their
        #: arguments by the old ids.
        ended: list[tuple[NewRows, dict[int, str]]] = []
        columns = ("pk", "name", "kind", "state", "args", "context")
        for pk, name, kind, state, args, old_context in rows.values_list(*columns):
            function = registry.find_recorded(name, kind)
            if state in UNFINISHED:
                results[pk] = InterventionResult.UNFINISHED
            elif function is None:
                results[pk] = InterventionResult.MISSING
            elif not function.rerun:
                results[pk] = InterventionResult.NO_RERUN
            else:
                results[pk] = InterventionResult.DONE
                rows_of_it = _new_rows(function, context or (json.dumps(old_context) if old_context else None))
                if not ended or ended[-1][0] != rows_of_it:
                    ended.append((rows_of_it, {}))
                ended[-1][1][pk] = to_json(args)
        _write(using, ended)
        return results

    return in_transaction(using, schedule)


def _new_rows(function: AnyFunction, context: str | None) -> NewRows:
    return NewRows(
        name=function.name,
        kind=function.kind,
        state=State.PENDING,
        queue=function.queue,
        priority=function.priority,
        time=timedelta(0),
        parent_id=None,
        context=context,
    )


def _write(using: str, ended: Sequence[tuple[NewRows, dict[int, str]]]) -> None:
    """Insert rows with these arguments, each of which refers to the function by whose id they are found here."""
    texts = [text for _, arguments in ended for text in arguments.values()]
    if not texts:
        return
    hook = commit_hook.count(using, BULK, len(texts), sum(map(len, texts)), "what is to run again")
    links = []
    for rows, arguments in ended:
        ids = enqueue.insert(using, rows, list(arguments.values()))
        links += [ScheduledFunction(pk=pk, rerun_of_id=old) for pk, old in zip(ids, arguments, strict=True)]
        commit_hook.announce(using, hook, rows, ids, wake=True)
    ScheduledFunction.objects.using(using).bulk_update(links, ["rerun_of"], batch_size=500)
