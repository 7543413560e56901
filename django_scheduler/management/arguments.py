"""These functions read durations, numbers and the database from the command line.

A duration is written ``90s``, ``30m``, ``12h``, ``7d``, ``2w``, or as several of them: ``1d12h``.

The functions for ``add_argument(type=...)`` raise ``ArgumentTypeError``.
"""

import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial

from django.core.management.base import CommandError
from django.db import connections

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

#: A longer one is refused, because databases may not know the times that far back.
LONGEST = timedelta(days=36_500)

_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def known_database(using: str) -> str:
    """Return the alias of a database.

    Raises ``CommandError`` if there is no such database.
    """
    if using not in connections:
        raise CommandError(f"There is no database {using!r} in DATABASES. There are: {', '.join(connections)}.")
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
