"""Backoff: how long to wait before trying again."""

import random
from datetime import timedelta

from django_scheduler.conf import get_settings


def backoff(attempts: int) -> timedelta:
    """Return the wait after so many failed attempts: it doubles up to a ceiling, and has full jitter.

    Full jitter (anything from nothing to the whole) spreads best what failed together; see Marc Brooker,
    "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    settings = get_settings()
    doublings = min(attempts - 1, 62)  # beyond that the ceiling has long been reached, and a timedelta's range too
    seconds = settings.BACKOFF_INITIAL.total_seconds() * 2.0**doublings
    return timedelta(seconds=min(seconds, settings.BACKOFF_MAXIMUM.total_seconds()) * random.random())
