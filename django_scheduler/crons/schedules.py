"""A schedule says when a cron runs: on the grid of an interval, or (``cron_lines.py``) when a cron line matches.

A slot is an instant at which a cron is to run. Schedules are pure arithmetic on instants: their slots depend neither on
who asks nor on when, and ``next_after`` finds the same ones from every starting point.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal, TypedDict, Unpack, get_args

from django_scheduler.durations import FURTHEST
from django_scheduler.errors import InvalidSchedule
from django_scheduler.times import in_utc
from django_scheduler.values import short_repr

CatchUp = Literal["one", "none", "all"]

SHORTEST_INTERVAL = timedelta(seconds=1)

#: How far back to look for the latest slot: most schedules have one within the first of these.
_WINDOWS = tuple(map(timedelta, (0.01, 1, 8, 32, 367, 9 * 366, 50 * 366)))


class ScheduleOptions(TypedDict, total=False):
    """Has the options that every schedule takes: see ``Schedule``."""

    catch_up: CatchUp
    pause_after_failures: int | None


class Schedule(ABC):
    """Says when a cron runs, and what happens to slots at which it cannot.

    ``catch_up`` says what to do about slots that were missed while no executor was running: ``"one"`` (default) runs
    once for all of them, ``"none"`` skips them, ``"all"`` runs each, one after the other. ``pause_after_failures``
    pauses the cron after so many failed runs in a row; ``None`` (default): never.
    """

    def __init__(self, *, catch_up: CatchUp = "one", pause_after_failures: int | None = None) -> None:
        if catch_up not in get_args(CatchUp):
            raise InvalidSchedule(f'catch_up must be "one", "none" or "all", not {catch_up!r}.')
        if pause_after_failures is not None and not is_whole(pause_after_failures, 1, 1_000_000):
            raise InvalidSchedule(
                f"pause_after_failures must be a positive whole number or None, not {pause_after_failures!r}."
            )
        self.catch_up: CatchUp = catch_up
        self.pause_after_failures = pause_after_failures

    @abstractmethod
    def next_after(self, time: datetime, *, anchor: datetime) -> datetime:
        """Return the first slot after a time. ``anchor`` is any slot on the grid of an interval."""

    def first_slot(self, now: datetime) -> datetime:
        """Return the first slot of a cron that is added now."""
        return self.next_after(now, anchor=now)

    def slots(self, start: datetime, end: datetime, *, anchor: datetime) -> Iterator[datetime]:
        """Yield the slots after ``start``, up to and including ``end``."""
        while (start := self.next_after(start, anchor=anchor)) <= end:
            yield start

    def latest_until(self, time: datetime, *, since: datetime, anchor: datetime) -> datetime:
        """Return the latest slot at or before a time, given a slot (``since``) that is."""
        for window in _WINDOWS:
            if time - window <= since:
                break
            *_, latest = None, *self.slots(time - window, time, anchor=anchor)
            if latest is not None:
                return latest
        *_, latest = since, *self.slots(since, time, anchor=anchor)
        return latest

    def _written_options(self) -> Iterator[str]:
        """Yield the options that are not the default, as code writes them."""
        if self.catch_up != "one":
            yield f"catch_up={self.catch_up!r}"
        if self.pause_after_failures is not None:
            yield f"pause_after_failures={self.pause_after_failures!r}"

    def for_cron(self, name: str) -> Schedule:
        """Return this schedule as the cron of that name has it: with a minute, if the name is to choose one."""
        return self


class Interval(Schedule):
    """Run at a fixed interval, on a grid that begins when the cron is added: a late run does not delay the next one.

    Takes exactly one of ``seconds``, ``minutes``, ``hours`` and ``every`` (a ``timedelta``), of at least a second, and
    the options of ``Schedule``.

    Raises ``InvalidSchedule``.
    """

    def __init__(
        self,
        *,
        seconds: float | None = None,
        minutes: float | None = None,
        hours: float | None = None,
        every: timedelta | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> None:
        super().__init__(**options)
        self.every = _length(seconds=seconds, minutes=minutes, hours=hours, every=every)

    def next_after(self, time: datetime, *, anchor: datetime) -> datetime:
        first = in_utc(anchor)
        return first + ((in_utc(time) - first) // self.every + 1) * self.every

    def __repr__(self) -> str:
        return f"Interval({', '.join([f'every={self.every!r}', *self._written_options()])})"

    def first_slot(self, now: datetime) -> datetime:
        """Return ``now``: an interval begins at once, as in Convex."""
        return now

    def latest_until(self, time: datetime, *, since: datetime, anchor: datetime) -> datetime:
        return max(since, self.next_after(time, anchor=anchor) - self.every)


def checked_schedule(schedule: object) -> Schedule:
    """Return a schedule; raise ``InvalidSchedule`` for anything else."""
    if not isinstance(schedule, Schedule):
        hint = f" Write crons.CronLine({schedule!r})." if isinstance(schedule, str) else ""
        raise InvalidSchedule(
            f"A schedule is crons.Interval(...), crons.CronLine(...), crons.Daily(...) or the like, not"
            f" {short_repr(schedule)}.{hint}"
        )
    return schedule


def is_whole(number: object, lowest: int, highest: int) -> bool:
    """Return whether something is a whole number within bounds."""
    return isinstance(number, int) and not isinstance(number, bool) and lowest <= number <= highest


def _length(**given: float | timedelta | None) -> timedelta:
    units = {unit: length for unit, length in given.items() if length is not None}
    if len(units) != 1:
        listed = f"{' and '.join(units)} are" if units else "none is"
        raise InvalidSchedule(f"An interval takes exactly one of {', '.join(given)}; {listed} given.")
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
