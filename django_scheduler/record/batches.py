"""A batch counts how its members have ended, and has ended when all of them have.

The invariant: a member's end, and its count in the row of the batch, are one transaction; and so are a member and its
count in ``total``. So when the counts of ends add up to ``total``, all members have ended, and none can be added.

* Two last members that end at once: each adds to the row, so one waits for the other's commit, and then finds the sum
  that both have made. A count is an UPDATE, which reads what is committed and no older snapshot, whatever the isolation
  of the transaction is (where a snapshot may not be left, the database reports a conflict, which is repeated).
* The block in which a batch is made is one transaction, which nobody else sees. ``total`` is null until its end, so
  that what is canceled in the block does not end the batch.
* A member adds members while it executes, so before its own end is counted. What it adds is counted at once, unless
  the batch has ended: then the member was taken for lost, or its body is over. A mutation keeps the row from then on
  until it ends, and with it the ends of other members.
* Functions are written before the batch, and several batches in ascending order, so that two transactions seldom wait
  for each other. Where they do, the database stops one of them, and that one is repeated.
"""

import json
from collections import Counter
from collections.abc import Mapping

from django.db.models import F, QuerySet

from django_scheduler.databases import Database
from django_scheduler.models import Batch, ScheduledFunction, State
from django_scheduler.record.callbacks import DueCallbacks, as_text, schedule_callbacks
from django_scheduler.record.outcomes import BatchOutcome

#: How many members have ended. Whether all have is asked by this, and not by ``completed_time``: MariaDB would take the
#: index of that column, and lock its entry before the row, while a count locks the row first. That is a deadlock.
ENDED = F("succeeded") + F("failed") + F("canceled")

COLUMNS = {State.SUCCESS.value: "succeeded", State.FAILED.value: "failed", State.CANCELED.value: "canceled"}


def count_ends(database: Database, ends: Mapping[int, Counter[str]]) -> None:
    """Count the states in which members have ended, by their batches, and end those whose members have all ended."""
    for batch_id, states in sorted(ends.items()):
        changes = {COLUMNS[state]: F(COLUMNS[state]) + number for state, number in states.items()}
        _batches(database).filter(pk=batch_id).update(**changes)
        end_if_complete(database, batch_id)


def count_added(database: Database, batch_id: int, number: int) -> bool:
    """Count members that a member adds, and return whether the batch has not ended."""
    return bool(_batches(database).filter(pk=batch_id, total__gt=ENDED).update(total=F("total") + number))


def seal(database: Database, batch_id: int) -> None:
    """Count the members of a batch at the end of its block; it has ended if it is empty."""
    total = ScheduledFunction.objects.using(database.using).filter(batch=batch_id).count()
    _batches(database).filter(pk=batch_id).update(total=total)
    end_if_complete(database, batch_id)


def end_if_complete(database: Database, batch_id: int) -> None:
    """End a batch if all of its members have ended, and schedule what follows."""
    if not _batches(database).filter(pk=batch_id, total=ENDED).update(completed_time=database.now()):
        return
    batch = _batches(database).get(pk=batch_id)
    if batch.callbacks is None:
        return
    outcome = BatchOutcome(
        id=batch.pk,
        total=batch.total or 0,
        succeeded=batch.succeeded,
        failed=batch.failed,
        canceled=batch.canceled,
    )
    callbacks, context = json.dumps(batch.callbacks), as_text(batch.context)
    schedule_callbacks(database, [DueCallbacks(callbacks, context, vars(batch)["parent_id"], outcome)])


def _batches(database: Database) -> QuerySet[Batch]:
    return Batch.objects.using(database.using)
