"""Retention: functions that ended long ago are deleted, the oldest first, 1,000 in a transaction."""

from collections.abc import Iterator
from datetime import timedelta
from threading import Event

from django.db.models import QuerySet

from django_scheduler.conf import get_settings
from django_scheduler.databases import Database
from django_scheduler.models import ScheduledFunction
from django_scheduler.record import deletion
from django_scheduler.record.deletion import Portion

#: So that retention never takes the database for itself.
SECONDS_BETWEEN_TRANSACTIONS = 0.1


def delete_expired(database: Database, stopping: Event) -> None:
    """Delete everything that ended longer ago than ``RETENTION``, and log what cannot be deleted."""
    retention = get_settings().RETENTION
    if retention is None:
        return
    portions = []
    for portion in delete_completed_before(database, retention):
        portions.append(portion)
        if stopping.wait(SECONDS_BETWEEN_TRANSACTIONS):
            return
    deletion.warn_of_kept("functions", portions)


def delete_completed_before(database: Database, ago: timedelta) -> Iterator[Portion]:
    """Delete everything that ended longer ago, and yield what became of the rows of each transaction."""
    return deletion.delete(database, completed_before(database, ago), by="completed_time")


def completed_before(database: Database, ago: timedelta) -> QuerySet[ScheduledFunction]:
    """Return what ended longer ago than that, by the clock that says what is due."""
    return ScheduledFunction.objects.using(database.using).filter(completed_time__lt=database.ago(ago))
