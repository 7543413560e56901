"""Run now and reschedule: a pending function is due at another time.

The invariant: only a row that is pending, and that nobody else has locked, is moved. An executing mutation holds
the lock of its row, so it is neither moved nor waited for, which could take as long as its body: it is reported as
running. The same is true of an action in the moment in which it is claimed, and of a row that is being canceled.
(SQLite locks no rows. There the update waits for the only writer, as every write does.)

``scheduled_time``, which is what was asked for at first, stays; ``due_time`` moves. A mutation that met a transient
error just before may still record its own retry time over it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from django.db import connections, transaction

from django_scheduler import wakeup
from django_scheduler.conflicts import in_transaction
from django_scheduler.databases import database_for
from django_scheduler.models import ScheduledFunction, State
from django_scheduler.outcomes import Outcome
from django_scheduler.times import parse_time

_OUTCOMES = {
    State.PENDING.value: Outcome.RUNNING,
    State.IN_PROGRESS.value: Outcome.IN_PROGRESS,
    State.CANCELED.value: Outcome.CANCELED,
}


def run_now(using: str, ids: Sequence[int]) -> dict[int, Outcome]:
    """Make pending functions due at once; what became of each."""
    return _move(using, ids, timedelta(0))


def reschedule(using: str, ids: Sequence[int], when: datetime | float) -> dict[int, Outcome]:
    """Make pending functions due at another time; in the past: at once. What became of each.

    ``when`` is an aware ``datetime`` or a number of milliseconds since the epoch. Raises ``InvalidSchedule``.
    """
    return _move(using, ids, parse_time(when))


def _move(using: str, ids: Sequence[int], time: timedelta | datetime) -> dict[int, Outcome]:
    def move() -> dict[int, Outcome]:
        movable = _lock_pending(using, ids)
        database_for(using).reschedule(movable, time)
        transaction.on_commit(partial(wakeup.send, using), using=using, robust=True)
        rows = ScheduledFunction.objects.using(using).filter(pk__in=set(ids) - set(movable))
        others = {pk: _OUTCOMES.get(state, Outcome.FINISHED) for pk, state in rows.values_list("pk", "state")}
        return dict.fromkeys(ids, Outcome.GONE) | others | dict.fromkeys(movable, Outcome.DONE)

    return in_transaction(using, move)


def _lock_pending(using: str, ids: Sequence[int]) -> list[int]:
    features = connections[using].features
    rows = ScheduledFunction.objects.using(using).select_for_update(
        skip_locked=features.has_select_for_update_skip_locked, no_key=features.has_select_for_no_key_update
    )
    return list(rows.filter(pk__in=ids, state=State.PENDING).order_by("pk").values_list("pk", flat=True))
