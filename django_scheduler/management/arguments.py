"""These functions read durations, times, numbers and the database from the command line.

A duration is written ``90s``, ``30m``, ``12h``, ``7d``, ``2w``, or as several of them: ``1d12h``.

The functions for ``add_argument(type=...)`` raise ``ArgumentTypeError``.
"""

import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.connection import ConnectionDoesNotExist

from django_scheduler.databases import require_alias
from django_scheduler.times import in_utc

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

#: A longer one is refused, because databases may not know the times that far back.
LONGEST = timedelta(days=36_500)

_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def known_database(using: str) -> str:
    """Return the alias of a database.

    Raises ``CommandError`` if there is no such database.
    """
    try:
        require_alias(using)
    except ConnectionDoesNotExist as error:
        raise CommandError(str(error)) from None
    return using


def written(duration: timedelta) -> str:
    """Return a duration as it is written on the command line: ``1d12h``."""
    text, left = "", duration.total_seconds()
    for unit, name in (("d", "days"), ("h", "hours"), ("m", "minutes")):
        number, left = divmod(left, timedelta(**{name: 1}).total_seconds())
        text += f"{number:g}{unit}" if number else ""
    return text + (f"{left:g}s" if left or not text else "")


def duration(given: str | timedelta) -> timedelta:
    """Read a duration, for ``add_argument(type=duration)``; ``call_command`` may give it as a ``timedelta``."""
    if isinstance(given, timedelta):
        if given < timedelta(0):
            raise ArgumentTypeError(f"{given} is less than 0")
        return given
    text = given
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ArgumentTypeError(f"{text!r} is not a duration, such as 90s, 30m, 12h, 7d, 2w or 1d12h")
    try:
        total = sum((timedelta(**{UNITS[unit]: float(number)}) for number, unit in parts), timedelta(0))
    except OverflowError:
        total = timedelta.max
    if total > LONGEST:
        raise ArgumentTypeError(f"{text} is longer than a hundred years")
    return total


def moment(text: str) -> datetime:
    """Read a time in ISO 8601, for ``add_argument(type=moment)``; without an offset it is in the current time zone."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(
            f"{text!r} is not a time, such as 2026-12-01, 2026-12-01T08:00 or 2026-12-01T08:00+01:00"
        ) from None
    if value.utcoffset() is not None:
        return value
    zone = timezone.get_current_timezone()
    aware = value.replace(tzinfo=zone)
    if in_utc(aware).astimezone(zone).replace(tzinfo=None) != value:
        raise ArgumentTypeError(f"the clocks of {timezone.get_current_timezone_name()} skip {text}")
    return aware


def written_time(time: datetime) -> str:
    """Return a time as the clocks of the current time zone show it."""
    local = timezone.localtime(time).isoformat(sep=" ", timespec="seconds")
    return f"{local} ({timezone.get_current_timezone_name()})"


Number = type[int] | type[float]


def positive(number: Number) -> Callable[[str], float]:
    """Return a function that reads a number of that type, greater than 0."""

    return partial(_read, number, lambda value: value > 0, "is not greater than 0")


def at_least_0(number: Number) -> Callable[[str], float]:
    """Return a function that reads a number of that type, from 0 on."""

    return partial(_read, number, lambda value: value >= 0, "is less than 0")


_SIZES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def size_of_memory(text: str) -> int:
    """Read a size in bytes: ``512M``, ``2G`` or ``1.5GiB``."""
    size = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)(?:iB|B)?", text.strip(), re.IGNORECASE)
    if size is None or not (value := int(Decimal(size[1]) * _SIZES[size[2].upper()])):
        raise ArgumentTypeError(f"{text!r} is not a size of memory, such as 512M or 2G")
    return value


def _read(number: Number, is_allowed: Callable[[float], bool], problem: str, text: str) -> float:
    try:
        value = number(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a {'whole ' if number is int else ''}number") from None
    if not is_allowed(value):
        raise ArgumentTypeError(f"{text} {problem}")
    return value
