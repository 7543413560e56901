"""A duration on the command line: ``90s``, ``30m``, ``12h``, ``7d``, ``2w``, or several of them: ``1d12h``."""

import re
from argparse import ArgumentTypeError
from datetime import timedelta

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

#: Before which no database has to know a time.
LONGEST = timedelta(days=36_500)

_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


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
