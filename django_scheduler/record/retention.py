"""Retention: functions that ended long ago are deleted, the oldest first, 1,000 in a transaction."""

import time
from collections.abc import Iterator
from datetime import timedelta
from threading import Event

from django.db.models import QuerySet

from django_scheduler.conf import get_settings
from django_scheduler.databases import Database
from django_scheduler.models import ScheduledFunction
from django_scheduler.record import deletion
from django_scheduler.record.deletion import Portion
from django_scheduler.transactions import DoublingWait

#: So that retention never takes the database for itself.
SECONDS_BETWEEN_TRANSACTIONS = 0.1

#: For how long nothing is deleted after some rows could not be, at first and at most, in seconds. Each such row costs
#: about two transactions that fail.
FIRST_WAIT, LONGEST_WAIT = 120.0, 3_600.0

#: For how long it is not looked again if nothing had expired: at most, and as a share of ``RETENTION``. Each look makes
#: a connection.
LONGEST_REST, SHARE = timedelta(minutes=10), 0.1


class Retention:
    """Deletes what has expired. It rests if nothing had, and longer each time that it could not delete everything."""

    def __init__(self, database: Database, stopping: Event) -> None:
        self._database = database
        self._stopping = stopping
        self._waits = DoublingWait(first=FIRST_WAIT, longest=LONGEST_WAIT)
        self._not_before = float("-inf")

    def delete(self) -> None:
        """Delete what has expired, if it is time."""
        if time.monotonic() < self._not_before:
            return
        expired = delete_expired(self._database, self._stopping)
        if expired.kept:
            self._not_before = time.monotonic() + self._waits.next()
            return
        self._waits.reset()
        if not expired.deleted:
            self._not_before = time.monotonic() + _rest().total_seconds()


def _rest() -> timedelta:
    retention = get_settings().RETENTION
    return LONGEST_REST if retention is None else min(LONGEST_REST, SHARE * retention)


def delete_expired(database: Database, stopping: Event) -> Portion:
    """Delete everything that ended longer ago than ``RETENTION``, log what cannot be deleted, and return how many."""
    retention = get_settings().RETENTION
    if retention is None:
        return Portion()
    portions = []
    for portion in delete_completed_before(database, retention):
        portions.append(portion)
        if stopping.wait(SECONDS_BETWEEN_TRANSACTIONS):
            break
    deletion.warn_of_kept("functions", portions)
    kept = deletion.added([portion.kept for portion in portions])
    return Portion(sum(portion.deleted for portion in portions), kept)


def delete_completed_before(database: Database, ago: timedelta) -> Iterator[Portion]:
    """Delete everything that ended longer ago, and yield what became of the rows of each transaction."""
    return deletion.delete(database, completed_before(database, ago), by="completed_time")


def completed_before(database: Database, ago: timedelta) -> QuerySet[ScheduledFunction]:
    """Return what ended longer ago than that, by the clock that says what is due."""
    return ScheduledFunction.objects.using(database.using).filter(completed_time__lt=database.ago(ago))
