"""Finished functions go when their retention has passed: in the background, few at a time, oldest first."""

from threading import Event

from django_scheduler.conf import get_settings
from django_scheduler.databases import Database
from django_scheduler.models import ScheduledFunction

ROWS_PER_TRANSACTION = 1_000

#: Between two transactions, so that retention never takes the database for itself, in seconds.
PAUSE = 0.1


def delete_expired(database: Database, stopping: Event) -> None:
    """Delete everything that was completed longer ago than ``RETENTION``."""
    retention = get_settings().RETENTION
    if retention is None:
        return
    functions = ScheduledFunction.objects.using(database.using)
    while not stopping.is_set():
        expired = functions.filter(completed_time__lt=database.now() - retention).order_by("completed_time")
        ids = list(expired.values_list("pk", flat=True)[:ROWS_PER_TRANSACTION])
        functions.filter(pk__in=ids).delete()
        if len(ids) < ROWS_PER_TRANSACTION:
            return
        stopping.wait(PAUSE)
