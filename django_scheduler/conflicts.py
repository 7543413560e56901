"""A change that is part of the caller's transaction, or has one of its own, which is repeated after a conflict."""

from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, connections, transaction

from django_scheduler.databases import database_for

T = TypeVar("T")

#: How often a transaction of its own is repeated because it conflicted with another one.
CONFLICT_RETRIES = 4


def in_transaction(using: str, change: Callable[[], T]) -> T:
    """Make the change as part of the open transaction; or in one of its own, again if that conflicted."""
    conflicts = 0
    while True:
        try:
            with transaction.atomic(using=using):
                return change()
        except DatabaseError as error:
            conflicts += 1
            is_callers = connections[using].in_atomic_block
            if is_callers or conflicts > CONFLICT_RETRIES or not database_for(using).is_conflict(error):
                raise
