"""Retention: functions that ended long ago are deleted, the oldest first, 1,000 in a transaction."""

from collections.abc import Iterator
from datetime import timedelta
from threading import Event

from django.db.models import QuerySet

from django_scheduler.conf import get_settings
from django_scheduler.databases import Database
from django_scheduler.models import ScheduledFunction

ROWS_PER_TRANSACTION = 1_000

#: So that retention never takes the database for itself.
SECONDS_BETWEEN_TRANSACTIONS = 0.1


def delete_expired(database: Database, stopping: Event) -> None:
    """Delete everything that ended longer ago than ``RETENTION``."""
    retention = get_settings().RETENTION
    if retention is not None:
        for _ in delete_completed_before(database, retention):
            if stopping.wait(SECONDS_BETWEEN_TRANSACTIONS):
                return


def delete_completed_before(database: Database, ago: timedelta) -> Iterator[int]:
    """Delete everything that ended longer ago, and yield how many rows each transaction has deleted."""
    while True:
        ids = list(
            completed_before(database, ago)
            .order_by("completed_time")
            .values_list("pk", flat=True)[:ROWS_PER_TRANSACTION]
        )
        ScheduledFunction.objects.using(database.using).filter(pk__in=ids).delete()
        yield len(ids)
        if len(ids) < ROWS_PER_TRANSACTION:
            return


def completed_before(database: Database, ago: timedelta) -> QuerySet[ScheduledFunction]:
    """Return what ended longer ago than that, by the clock that says what is due."""
    return ScheduledFunction.objects.using(database.using).filter(completed_time__lt=database.ago(ago))
