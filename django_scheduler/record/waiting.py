"""What waits for a limit is let in: it is due again, in the order of its due times.

To be let in is no promise. Whether a body may begin is decided where a slot is taken (``executor/limits.py``), so it
does not matter how often, or how many more than there are slots, are let in: those that find none wait again, as
before.
"""

from collections.abc import Collection, Mapping, Sequence

from django_scheduler.databases import Database
from django_scheduler.models import ScheduledFunctionId
from django_scheduler.record import transitions, wakeup


def let_in(database: Database, numbers: Mapping[str, int]) -> int:
    """Let in so many of those that wait for each limit, as part of the open transaction; return how many they are."""
    return _let_in(database, database.lock_waiting_for(numbers))


def let_in_these(database: Database, ids: Collection[int]) -> int:
    """Let in those of the functions that wait, as part of the open transaction; return how many they are."""
    return _let_in(database, database.lock_waiting_among(ids))


def let_in_expired(database: Database, *, most: int) -> int:
    """Let in so many of those that wait and have expired, so that who claims them cancels them; return how many."""
    return _let_in(database, database.lock_waiting_expired(most=most))


def _let_in(database: Database, found: Sequence[ScheduledFunctionId]) -> int:
    if found:
        transitions.LET_IN.apply_to_all(database, found, {})
        wakeup.send_after_commit(database.using)  # not what it is: one that is let in again would be heard of already
    return len(found)
