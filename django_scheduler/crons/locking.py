"""A cron's row is locked by whoever decides about it: of several one decides, and the others see what it decided."""

from typing import Any

from django.db import connections
from django.db.models import QuerySet

from django_scheduler.crons.models import Cron
from django_scheduler.databases import Database


def lock(database: Database, **conditions: Any) -> Cron | None:
    """Lock a cron for the open transaction; ``None`` if there is none that meets them, or somebody else has it."""
    features = connections[database.using].features
    return _locking(database, skip_locked=features.has_select_for_update_skip_locked).filter(**conditions).first()


def lock_patiently(database: Database, **conditions: Any) -> QuerySet[Cron]:
    """Lock crons for the open transaction, and wait for whoever has them; in one order, so that two do not deadlock."""
    return _locking(database, skip_locked=False).filter(**conditions).order_by("pk")


def _locking(database: Database, *, skip_locked: bool) -> QuerySet[Cron]:
    # NO KEY, where there is such a lock: a run that refers to the cron can be recorded meanwhile.
    no_key = connections[database.using].features.has_select_for_no_key_update
    return Cron.objects.using(database.using).select_for_update(skip_locked=skip_locked, no_key=no_key)
