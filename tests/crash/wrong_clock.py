"""A host whose clock is wrong, as far as the process's code can see it."""

import time
from datetime import datetime, timedelta

from django.utils import timezone


def install(offset: float) -> None:
    """Put the clock of this process that many seconds forward."""
    now, seconds = timezone.now, time.time

    def wrong_now() -> datetime:
        return now() + timedelta(seconds=offset)

    timezone.now = wrong_now
    time.time = lambda: seconds() + offset
