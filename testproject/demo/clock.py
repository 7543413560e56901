"""The database's clock: the only one that the timeline shows, so that no two hosts' clocks get mixed."""

from datetime import datetime, timedelta

from django.contrib.auth import get_user_model
from django.db.models.functions import Now
from django.utils import timezone


class DatabaseClock:
    """Asks the database once, and knows from then on how far it is ahead."""

    def __init__(self) -> None:
        # The administrator is there to be selected from; the table does not matter.
        now: datetime = get_user_model().objects.values_list(Now(), flat=True)[0]
        self._ahead: timedelta = now - timezone.now()
        self._start = self.now()

    def now(self) -> datetime:
        return timezone.now() + self._ahead

    def seconds(self, time: datetime) -> float:
        """Since the demo has begun."""
        return (time - self._start).total_seconds()
