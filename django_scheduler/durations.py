"""Check and parse the durations that declarations, options and errors carry."""

import math
from datetime import timedelta

#: Nothing lies further ahead, or lasts longer.
FURTHEST = timedelta(days=5 * 366)


def is_positive(value: object, longest: timedelta = FURTHEST) -> bool:
    """Return whether something is a ``timedelta`` of more than nothing, and not of more than the longest."""
    return isinstance(value, timedelta) and timedelta(0) < value <= longest


def parse_seconds(value: timedelta | float, what: str) -> timedelta:
    """Return a duration as a ``timedelta``; ``what`` it is of, as an error names it: ``after=``.

    Raises ``TypeError`` if it is neither a ``timedelta`` nor a number of seconds, and ``ValueError`` if it is negative,
    not finite or over five years long.
    """
    if isinstance(value, bool) or not isinstance(value, timedelta | int | float):
        raise TypeError(f"{what} must be a timedelta or a number of seconds, not {type(value).__name__}.")
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if not (math.isfinite(seconds) and 0 <= seconds <= FURTHEST.total_seconds()):
        raise ValueError(f"{what} must be from 0 seconds to {FURTHEST.days} days, not {value!r}.")
    return value if isinstance(value, timedelta) else timedelta(seconds=value)
