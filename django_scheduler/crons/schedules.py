"""When a cron runs: intervals on a grid, and cron lines in a time zone. Pure arithmetic on instants.

A slot is an instant at which a cron is to run. The slots of a schedule do not depend on who asks, nor when:
``next_after`` finds the same ones from every starting point.

Cron lines follow Debian's cron at the two nights when clocks change. A line with a fixed hour and minute runs
once a day: what falls into the hour that is skipped runs right after it, and what falls into the hour that comes
twice runs in the first one. A line whose minute or hour begins with ``*`` runs whenever the clock on the wall
matches: not in the skipped hour, and in both of the repeated ones.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from django.conf import settings

from django_scheduler.crons.clock_changes import clock_changes, local_time, moment_of, plain, plain_local
from django_scheduler.errors import InvalidSchedule
from django_scheduler.times import FURTHEST
from django_scheduler.values.short_repr import short_repr

CatchUp = Literal["one", "none", "all"]

SECOND = timedelta(seconds=1)
SHORTEST_INTERVAL = SECOND

LONGEST_LINE = 255

#: The minute of a cron line that is chosen from the cron's name.
STABLE_MINUTE = "H"

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[str, ...] = get_args(Weekday)

#: How far back to look for the latest slot: most schedules have one within the first of these.
_WINDOWS = tuple(map(timedelta, (0.01, 1, 8, 32, 367, 9 * 366, 50 * 366)))


class Schedule(ABC):
    """When a cron runs, and what becomes of it when it cannot.

    ``catch_up``: what of the slots that were missed while no executor was there: ``"one"`` run for all of them,
    ``"none"``, or ``"all"``, one after the other. ``pause_after_failures``: pause the cron once so many runs in a
    row have failed; ``None``: never.
    """

    def __init__(self, *, catch_up: CatchUp, pause_after_failures: int | None) -> None:
        if catch_up not in get_args(CatchUp):
            raise InvalidSchedule(f'catch_up must be "one", "none" or "all", not {catch_up!r}.')
        if pause_after_failures is not None and not _is_whole(pause_after_failures, 1, 1_000_000):
            raise InvalidSchedule(
                f"pause_after_failures must be a positive whole number or None, not {pause_after_failures!r}."
            )
        self.catch_up: CatchUp = catch_up
        self.pause_after_failures = pause_after_failures

    @abstractmethod
    def next_after(self, time: datetime, *, anchor: datetime) -> datetime:
        """The first slot after a time. ``anchor``: a slot of the grid on which an interval's slots lie."""

    def slots(self, start: datetime, end: datetime, *, anchor: datetime) -> Iterator[datetime]:
        """The slots after ``start``, up to and including ``end``."""
        while (start := self.next_after(start, anchor=anchor)) <= end:
            yield start

    def latest_until(self, time: datetime, *, since: datetime, anchor: datetime) -> datetime:
        """The latest slot at or before a time, given one that is."""
        for window in _WINDOWS:
            if time - window <= since:
                break
            *_, latest = None, *self.slots(time - window, time, anchor=anchor)
            if latest is not None:
                return latest
        *_, latest = since, *self.slots(since, time, anchor=anchor)
        return latest

    def for_cron(self, name: str) -> Schedule:
        """This schedule once it is known whose it is."""
        return self


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


class CronLine(Schedule):
    """At the times that match a cron line of five fields (minute, hour, day of month, month, day of week).

    ``timezone``: the zone of its times, as in ``"Europe/Berlin"``; default: the project's ``TIME_ZONE``. A minute of
    ``H`` is chosen from the cron's name: always the same one, and not all crons the same.

    Raises ``InvalidSchedule`` for what is no cron line or matches no time, such as ``"0 0 30 2 *"``, and for an
    unknown zone.
    """

    def __init__(
        self,
        line: str,
        *,
        timezone: str | None = None,
        catch_up: CatchUp = "one",
        pause_after_failures: int | None = None,
    ) -> None:
        super().__init__(catch_up=catch_up, pause_after_failures=pause_after_failures)
        self.timezone: str = settings.TIME_ZONE if timezone is None else timezone
        self._zone = _zone(self.timezone)
        if not isinstance(line, str):
            raise InvalidSchedule(f"A cron line is a str, not {type(line).__name__}.")
        self.line = " ".join(line.split())
        self._refuse_what_never_matches()

    def next_after(self, time: datetime, *, anchor: datetime) -> datetime:
        time = plain(time)
        if self._follows_the_wall_clock:
            return self._next_on_the_wall(time)
        for match in self._matches_after(local_time(self._zone, time)):
            # In the second of two equal hours, the next match may have been in the first one.
            if (moment := moment_of(self._zone, match)) > time:
                return moment
        raise self._exhausted(time)

    def _next_on_the_wall(self, time: datetime) -> datetime:
        # Between two changes, the clocks on the wall go as all clocks do: so from one change to the next one.
        start, wall, known = time, local_time(self._zone, time), time
        while match := next(self._matches_after(wall), None):
            moment = start + (match - wall)
            change = next(clock_changes(self._zone, known, moment), None)
            if change is None:
                return moment
            start, wall, known = change - SECOND, local_time(self._zone, change) - SECOND, change
        raise self._exhausted(time)

    def _matches_after(self, local: datetime) -> Iterator[datetime]:
        """The times without a zone that match the line."""
        return map(plain_local, CronSim(self.line, local))

    def _exhausted(self, time: datetime) -> InvalidSchedule:
        return InvalidSchedule(f"The cron line {self.line!r} matches no time after {time}.")

    def for_cron(self, name: str) -> CronLine:
        minute, rest = self.line.split(" ", 1)
        if minute != STABLE_MINUTE:
            return self
        return CronLine(
            f"{stable_minute(name)} {rest}",
            timezone=self.timezone,
            catch_up=self.catch_up,
            pause_after_failures=self.pause_after_failures,
        )

    @property
    def _follows_the_wall_clock(self) -> bool:
        minute, hour, *_ = self.line.split(" ")
        return minute.startswith("*") or hour.startswith("*")

    def _refuse_what_never_matches(self) -> None:
        if len(self.line) > LONGEST_LINE:
            raise InvalidSchedule(f"A cron line has at most {LONGEST_LINE} characters, not {len(self.line)}.")
        fields = self.line.split(" ")
        if len(fields) != 5:
            raise InvalidSchedule(
                f"The cron line {self.line!r} has {len(fields)} fields, and needs five: minute, hour, day of month,"
                " month, day of week. For what runs every few seconds there are intervals."
            )
        line = " ".join(["0" if fields[0] == STABLE_MINUTE else fields[0], *fields[1:]])
        try:
            match = next(CronSim(line, datetime(2000, 1, 1)), None)  # noqa: DTZ001  (whether it can be at all)
        except CronSimError as error:
            raise InvalidSchedule(f"The cron line {self.line!r} is not valid, or matches no day: {error}") from error
        if match is None:
            raise InvalidSchedule(f"The cron line {self.line!r} matches no time, so it would never run.")


class Hourly(CronLine):
    """Every hour, at a minute; default: one that is chosen from the cron's name."""

    def __init__(
        self,
        *,
        minute: int | None = None,
        timezone: str | None = None,
        catch_up: CatchUp = "one",
        pause_after_failures: int | None = None,
    ) -> None:
        super().__init__(
            f"{_minute(minute)} * * * *",
            timezone=timezone,
            catch_up=catch_up,
            pause_after_failures=pause_after_failures,
        )


class Daily(CronLine):
    """Every day at an hour and a minute; default: a minute that is chosen from the cron's name."""

    def __init__(
        self,
        *,
        hour: int,
        minute: int | None = None,
        timezone: str | None = None,
        catch_up: CatchUp = "one",
        pause_after_failures: int | None = None,
    ) -> None:
        super().__init__(
            f"{_minute(minute)} {_number('hour', hour, 0, 23)} * * *",
            timezone=timezone,
            catch_up=catch_up,
            pause_after_failures=pause_after_failures,
        )


class Weekly(CronLine):
    """Once a week, on a day such as ``"monday"``."""

    def __init__(
        self,
        *,
        day: Weekday,
        hour: int,
        minute: int | None = None,
        timezone: str | None = None,
        catch_up: CatchUp = "one",
        pause_after_failures: int | None = None,
    ) -> None:
        if day not in WEEKDAYS:
            raise InvalidSchedule(f"day must be one of {', '.join(WEEKDAYS)}, not {day!r}.")
        super().__init__(
            f"{_minute(minute)} {_number('hour', hour, 0, 23)} * * {day[:3]}",
            timezone=timezone,
            catch_up=catch_up,
            pause_after_failures=pause_after_failures,
        )


class Monthly(CronLine):
    """Once a month, on a day from 1 to 31. Months that have no such day are skipped."""

    def __init__(
        self,
        *,
        day: int,
        hour: int,
        minute: int | None = None,
        timezone: str | None = None,
        catch_up: CatchUp = "one",
        pause_after_failures: int | None = None,
    ) -> None:
        super().__init__(
            f"{_minute(minute)} {_number('hour', hour, 0, 23)} {_number('day', day, 1, 31)} * *",
            timezone=timezone,
            catch_up=catch_up,
            pause_after_failures=pause_after_failures,
        )


def checked_schedule(schedule: object) -> Schedule:
    """Raises ``InvalidSchedule`` for what is no schedule."""
    if not isinstance(schedule, Schedule):
        raise InvalidSchedule(
            f"A schedule is crons.Interval(...), crons.CronLine(...), crons.Daily(...) or the like, not"
            f" {short_repr(schedule)}."
        )
    return schedule


def stable_minute(name: str) -> int:
    """A minute for the cron of that name: the same in every process and version."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % 60


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


def _minute(minute: int | None) -> str:
    return STABLE_MINUTE if minute is None else str(_number("minute", minute, 0, 59))


def _number(what: str, number: int, lowest: int, highest: int) -> int:
    if not _is_whole(number, lowest, highest):
        raise InvalidSchedule(f"{what} must be a whole number from {lowest} to {highest}, not {number!r}.")
    return number


def _is_whole(number: object, lowest: int, highest: int) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and lowest <= number <= highest


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, TypeError, OSError) as error:
        raise InvalidSchedule(f'There is no time zone {name!r}. Zones are named as in "Europe/Berlin".') from error
