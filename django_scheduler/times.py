"""Delays and times as callers give them.

The rules are Convex's: a delay is finite and not negative; a time may lie in the past, which means due at
once; neither leads further than 5 x 366 days away. Numbers are milliseconds.
"""

import math
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from django_scheduler.errors import InvalidSchedule

FURTHEST = timedelta(days=5 * 366)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_delay(delay: timedelta | float) -> timedelta:
    """A delay as a ``timedelta``.

    Raises ``TypeError`` if it is neither a ``timedelta`` nor a number of milliseconds, and
    ``InvalidSchedule`` if it is negative, not finite or too long.
    """
    if isinstance(delay, timedelta):
        length = delay
    elif _is_number(delay):
        length = _milliseconds(delay, "A delay")
    else:
        raise TypeError(f"A delay is a timedelta or a number of milliseconds, not {type(delay).__name__}.")
    if length < timedelta(0):
        raise InvalidSchedule(f"A delay cannot be negative: {delay!r}. For a time in the past there is run_at.")
    if length > FURTHEST:
        raise InvalidSchedule(f"A delay cannot be longer than {FURTHEST.days} days: {delay!r}.")
    return length


def parse_time(when: datetime | float) -> datetime:
    """A time as an aware ``datetime``.

    Raises ``TypeError`` if it is neither a ``datetime`` nor a number of milliseconds since the epoch, and
    ``InvalidSchedule`` if it is naive, not finite or too far away.
    """
    if isinstance(when, datetime):
        if when.utcoffset() is None:
            raise InvalidSchedule(f"A time needs a time zone: {when!r} is naive. Use django.utils.timezone.")
        time = when
    elif _is_number(when):
        time = EPOCH + _milliseconds(when, "A time")
    else:
        raise TypeError(
            f"A time is an aware datetime or a number of milliseconds since the epoch, not {type(when).__name__}."
        )
    if abs(time - timezone.now()) > FURTHEST:
        raise InvalidSchedule(f"A time cannot be more than {FURTHEST.days} days away: {when!r}.")
    return time


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _milliseconds(number: float, what: str) -> timedelta:
    try:
        if math.isfinite(number):
            return timedelta(milliseconds=number)
    except OverflowError:
        raise InvalidSchedule(f"{what} cannot be that far away: {number!r} milliseconds.") from None
    raise InvalidSchedule(f"{what} must be finite, not {number!r}.")
