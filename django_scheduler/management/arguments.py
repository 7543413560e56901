"""A duration on the command line: ``90s``, ``30m``, ``12h``, ``7d``, ``2w``, or several of them: ``1d12h``.

Numbers on the command line, for ``add_argument(type=...)``: each raises ``ArgumentTypeError`` for what is none.
"""

import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

#: Before which no database has to know a time.
LONGEST = timedelta(days=36_500)

_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def written(duration: timedelta) -> str:
    """As it is written on the command line: ``1d12h``."""
    text, left = "", duration.total_seconds()
    for unit, name in (("d", "days"), ("h", "hours"), ("m", "minutes")):
        number, left = divmod(left, timedelta(**{name: 1}).total_seconds())
        text += f"{number:g}{unit}" if number else ""
    return text + (f"{left:g}s" if left or not text else "")


def duration(text: str) -> timedelta:
    """For ``add_argument(type=duration)``; ``ArgumentTypeError`` if it is none."""
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


_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}

Number = type[int] | type[float]


def positive(number: Number) -> Callable[[str], float]:
    """A number of that type, greater than 0."""

    def parse(text: str) -> float:
        value = _parsed(text, number)
        if not value > 0:
            raise ArgumentTypeError(f"{text} is not greater than 0")
        return value

    return parse


def whole_from_0(text: str) -> float:
    """A whole number from 0 on."""
    value = _parsed(text, int)
    if value < 0:
        raise ArgumentTypeError(f"{text} is less than 0")
    return value


def size_of_memory(text: str) -> int:
    """In bytes: ``512M``, ``2G`` or ``1.5GiB``."""
    size = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)(?:iB|B)?", text.strip(), re.IGNORECASE)
    if size is None or not (value := int(Decimal(size[1]) * _UNITS[size[2].upper()])):
        raise ArgumentTypeError(f"{text!r} is not a size of memory, such as 512M or 2G")
    return value


def _parsed(text: str, number: Number) -> float:
    try:
        return number(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a {'whole ' if number is int else ''}number") from None
