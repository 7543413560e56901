"""Parse the delays and times that callers give.

The rules are Convex's: a delay is finite and not negative; a time may lie in the past, which means due at
once; neither leads further than 5 x 366 days away. Numbers are milliseconds.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from django.utils import timezone

from django_scheduler.durations import FURTHEST
from django_scheduler.errors import InvalidSchedule
from django_scheduler.values import short_repr

Given = TypeVar("Given")
T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def in_utc(moment: datetime) -> datetime:
    """Return the same instant as a plain ``datetime`` in UTC.

    Python compares and subtracts two datetimes of one zone as its clocks show them, so the hour that autumn repeats
    would be lost. (Computed like this, because the class of freezegun ignores ``fold``.)
    """
    return EPOCH + (moment - EPOCH)


#: More milliseconds than there are between any two times, so a larger number can be replaced by it.
BEYOND_ALL_DATES = 10_000 * 366 * 24 * 60 * 60 * 1000


def parse_delay(delay: timedelta | float) -> timedelta:
    """Return a delay as a ``timedelta``.

    Raises ``TypeError`` if it is neither a ``timedelta`` nor a number of milliseconds, and
    ``InvalidSchedule`` if it is negative, not finite or too long.
    """
    if isinstance(delay, timedelta):
        length, is_negative = delay, delay < timedelta(0)
    elif _is_number(delay):
        # The number says whether it is negative: as a timedelta, a tiny one becomes zero.
        length, is_negative = _milliseconds(delay, "A delay"), delay < 0
    else:
        hint = " For a time there is run_at." if isinstance(delay, datetime) else ""
        raise TypeError(f"A delay is a timedelta or a number of milliseconds, not {type(delay).__name__}.{hint}")
    if is_negative:
        raise InvalidSchedule(
            f"A delay cannot be negative: {short_repr(delay)}. For a time in the past there is run_at."
        )
    if length > FURTHEST:
        raise InvalidSchedule(f"A delay cannot be longer than {FURTHEST.days} days: {short_repr(delay)}.")
    return length


def parse_time(when: datetime | float) -> datetime:
    """Return a time as a ``datetime`` in UTC, where different times are never equal.

    Raises ``TypeError`` if it is neither a ``datetime`` nor a number of milliseconds since the epoch, and
    ``InvalidSchedule`` if it is naive, not finite or too far away.
    """
    if isinstance(when, datetime):
        if when.utcoffset() is None:
            raise InvalidSchedule(f"A time needs a time zone: {when!r} is naive. Use django.utils.timezone.")
        distance = when - timezone.now()
    elif _is_number(when):
        distance = _milliseconds(when, "A time") - (timezone.now() - EPOCH)
    else:
        hint = " For a time from now on, write timezone.now() + timedelta(...)." if isinstance(when, timedelta) else ""
        raise TypeError(
            f"A time is an aware datetime or a number of milliseconds since the epoch, not {type(when).__name__}.{hint}"
        )
    if abs(distance) > FURTHEST:
        hint = "" if isinstance(when, datetime) else " A number is taken as milliseconds since 1970."
        raise InvalidSchedule(f"A time cannot be more than {FURTHEST.days} days away: {short_repr(when)}.{hint}")
    return in_utc(when) if isinstance(when, datetime) else EPOCH + timedelta(milliseconds=when)


def parse_for(what: str, parse: Callable[[Given], T], given: Given) -> T:
    """Parse a delay or a time with one of these functions; an error begins with ``what``, which was to be done."""
    try:
        return parse(given)
    except (InvalidSchedule, TypeError) as error:
        raise type(error)(f"{what} {error}") from None


def looks_like_seconds(number: float) -> bool:
    """Return whether a number that is taken as milliseconds is rather one of seconds.

    Nobody asks for a delay of less than a tenth of a second, but for 5 or 30 seconds; nor for one of 3,600
    milliseconds, but for an hour. What is as round in milliseconds, as 1,500 or 86,400,000 are, is left alone.
    """
    if number < 100:
        return number > 0
    for seconds, round_milliseconds in ((86_400, 60_000), (3_600, 500), (60, 500)):  # days, hours, minutes
        if number >= seconds:
            return number % seconds == 0 and number % round_milliseconds != 0
    return False


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _milliseconds(number: float, what: str) -> timedelta:
    if isinstance(number, float) and not math.isfinite(number):
        raise InvalidSchedule(f"{what} must be finite, not {number!r}.")
    return timedelta(milliseconds=min(max(number, -BEYOND_ALL_DATES), BEYOND_ALL_DATES))
