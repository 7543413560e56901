"""A duration on the command line: ``90s``, ``30m``, ``12h``, ``7d``, ``2w``, or several of them: ``1d12h``."""

import re
from argparse import ArgumentTypeError
from datetime import timedelta

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
