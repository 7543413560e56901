"""Every so often: the slots of an interval lie on a grid."""

from __future__ import annotations

from datetime import datetime, timedelta

from django_scheduler.crons.clock_changes import plain
from django_scheduler.crons.schedules import CatchUp, Schedule
from django_scheduler.errors import InvalidSchedule
from django_scheduler.times import FURTHEST

SHORTEST_INTERVAL = timedelta(seconds=1)


class Interval(Schedule):
    """Every so often, on a grid that begins when the cron is added: a late run does not delay the next one.

    Exactly one of ``seconds``, ``minutes``, ``hours`` and ``every`` (a ``timedelta``), of at least a second.

    Raises ``InvalidSchedule``.
    """

    def __init__(
        self,
        *,
        seconds: float | None = None,
        minutes: float | None = None,
        hours: float | None = None,
        every: timedelta | None = None,
        catch_up: CatchUp = "one",
        pause_after_failures: int | None = None,
    ) -> None:
        super().__init__(catch_up=catch_up, pause_after_failures=pause_after_failures)
        self.every = _length(seconds=seconds, minutes=minutes, hours=hours, every=every)

    def next_after(self, time: datetime, *, anchor: datetime) -> datetime:
        first = plain(anchor)
        return first + ((plain(time) - first) // self.every + 1) * self.every

    def latest_until(self, time: datetime, *, since: datetime, anchor: datetime) -> datetime:
        return max(since, self.next_after(time, anchor=anchor) - self.every)


def _length(**given: float | timedelta | None) -> timedelta:
    units = {unit: length for unit, length in given.items() if length is not None}
    if len(units) != 1:
        raise InvalidSchedule(f"An interval takes exactly one of {', '.join(given)}; {_listed(list(units))} given.")
    ((unit, length),) = units.items()
    if unit == "every":
        if not isinstance(length, timedelta):
            raise InvalidSchedule(f"every must be a timedelta, not {length!r}.")
        every = length
    else:
        if not isinstance(length, int | float) or isinstance(length, bool):
            raise InvalidSchedule(f"{unit} must be a number, not {length!r}.")
        try:
            every = timedelta(**{unit: length})
        except (OverflowError, ValueError) as error:
            raise InvalidSchedule(f"{unit}={length!r} is no interval: {error}.") from error
    if not SHORTEST_INTERVAL <= every <= FURTHEST:
        raise InvalidSchedule(f"An interval lasts from a second to {FURTHEST.days} days, not {every}.")
    return every


def _listed(units: list[str]) -> str:
    return f"{' and '.join(units)} are" if units else "none is"
