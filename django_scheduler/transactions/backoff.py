"""How long to wait before a retry."""

import random
from datetime import timedelta

from django_scheduler.conf import get_settings


def backoff(attempts: int) -> timedelta:
    """The wait after so many failed attempts: doubling from the first, with a ceiling, and with full jitter.

    Full jitter (anything from nothing to the whole) spreads best what failed together; see Marc Brooker,
    "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    settings = get_settings()
    doublings = min(attempts - 1, 62)  # beyond that the ceiling has long been reached, and a timedelta's range too
    seconds = settings.BACKOFF_INITIAL.total_seconds() * 2.0**doublings
    return timedelta(seconds=min(seconds, settings.BACKOFF_MAXIMUM.total_seconds()) * random.random())
