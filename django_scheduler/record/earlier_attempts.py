"""Earlier attempts: what is on record of those that were repeated, whatever for.

``failures`` counts those that have failed: what ``TransientError`` or the database has put off is none. ``history`` has
the last ones, with their executors and errors. A claim reads neither. So they are read only when another attempt ends
without success, and not at all for a first one, before which there are none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django_scheduler.databases import Database
from django_scheduler.models import ScheduledFunction
from django_scheduler.record.error_record import shortened

#: How many attempts are kept, and how many characters of the error of each.
MOST_KEPT, LONGEST_ERROR = 20, 1000


@dataclass(frozen=True, slots=True)
class EarlierAttempts:
    """Holds what is on record of the attempts before."""

    failures: int = 0
    history: list[dict[str, str]] = field(default_factory=list)

    @property
    def on_record(self) -> dict[str, Any]:
        """Return the columns that say so."""
        return {"failures": self.failures, "history": self.history}

    def followed_by(self, *, time: datetime, executor: str, error: str, has_failed: bool) -> "EarlierAttempts":
        """Return what is on record with one attempt more, which ended at that time, in UTC."""
        attempt = {"time": time.isoformat(), "executor": executor, "error": shortened(error, LONGEST_ERROR)}
        return EarlierAttempts(self.failures + has_failed, [*self.history, attempt][-MOST_KEPT:])


NONE = EarlierAttempts()


def earlier_attempts(row: Mapping[str, Any]) -> EarlierAttempts:
    """Return what a row says, of which these two columns were read."""
    return EarlierAttempts(row["failures"], row["history"] or [])


def read_earlier_attempts(database: Database, function_id: int) -> EarlierAttempts:
    """Read what is on record of the attempts before."""
    rows = ScheduledFunction.objects.using(database.using).filter(pk=function_id)
    row = rows.values("failures", "history").first()
    return earlier_attempts(row) if row else NONE
