"""Cron lines are schedules that run at the times that match a line, in a time zone; some of them have a name.

Cron lines follow Debian's cron on the two nights when clocks change. A line with a fixed hour and minute runs once a
day: a time in the hour that is skipped runs right after it, and a time in the hour that comes twice runs in the first
one. A line whose minute or hour begins with ``*`` runs whenever the wall clock matches: not in the skipped hour, and in
both of the repeated ones.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from copy import copy
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal, Unpack, get_args
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from django.conf import settings

from django_scheduler.crons.line_syntax import STABLE_MINUTE, for_cronsim
from django_scheduler.crons.schedules import Schedule, ScheduleOptions, is_whole
from django_scheduler.crons.wall_clock import STEP, clock_changes, local_time, moment_of, plain_local
from django_scheduler.errors import InvalidSchedule
from django_scheduler.suggestions import did_you_mean
from django_scheduler.times import in_utc

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


class LineOptions(ScheduleOptions, total=False):
    """Has the options that every schedule by the wall clock takes: see ``CronLine``."""

    timezone: str | None


class CronLine(Schedule):
    """Run at the times that match a cron line of five fields (minute, hour, day of month, month, day of week).

    Where neither day of month nor day of week begins with ``*``, one of the two has to match, otherwise both.
    ``timezone`` is the zone of its times, as in ``"Europe/Berlin"``; default: the project's ``TIME_ZONE``. A minute of
    ``H`` is chosen by the cron's name: always the same one, and not the same one for all crons.

    Raises ``InvalidSchedule``, which says what to write instead, for what is no cron line or matches no time, such as
    ``"0 0 30 2 *"``, and for an unknown zone.
    """

    def __init__(self, line: str, *, timezone: str | None = None, **options: Unpack[ScheduleOptions]) -> None:
        super().__init__(**options)
        self.timezone: str = settings.TIME_ZONE if timezone is None else timezone
        self._zone = _zone(self.timezone)
        if not isinstance(line, str):
            raise InvalidSchedule(f"A cron line is a str, not {type(line).__name__}.")
        self.line = " ".join(line.split())
        _refuse_invalid_line(self.line)

    def next_after(self, time: datetime, *, anchor: datetime) -> datetime:
        time = in_utc(time)
        if self._follows_the_wall_clock:
            return self._next_on_the_wall(time)
        for match in self._matches_after(local_time(self._zone, time)):
            # In the second of two equal hours, the next match may have been in the first one.
            if (moment := moment_of(self._zone, match)) > time:
                return moment
        raise self._exhausted(time)

    def _next_on_the_wall(self, time: datetime) -> datetime:
        # Between two changes the wall clock goes as every clock does, so this goes from one change to the next one.
        start, wall, known = time, local_time(self._zone, time), time
        while match := next(self._matches_after(wall), None):
            moment = start + (match - wall)
            change = next(clock_changes(self._zone, known, moment), None)
            if change is None:
                return moment
            start, wall, known = change - SECOND, local_time(self._zone, change) - SECOND, change
        raise self._exhausted(time)

    def _matches_after(self, local: datetime) -> Iterator[datetime]:
        """Yield the local times that match the line."""
        return map(plain_local, CronSim(for_cronsim(self.line), local))

    def count_slots(self, bounds: Sequence[datetime]) -> list[int]:
        """Return how many slots there are between each two bounds, with the earlier one and without the later one.

        They are not gone through one by one: it takes a step for each hour.
        """
        times = [in_utc(bound) for bound in bounds]
        sim = CronSim(for_cronsim(self.line), datetime(2000, 1, 1))  # noqa: DTZ001  (any time)
        changes = [*clock_changes(self._zone, times[0] - STEP, times[-1])]
        return [self._count_between(sim, start, end, changes) for start, end in pairwise(times)]

    def _count_between(self, sim: CronSim, start: datetime, end: datetime, changes: list[datetime]) -> int:
        """Count slots between two times, given the changes of the clocks up to there since a day before."""
        number = 0
        begins = [start, *(change for change in changes if start < change < end)]
        for begin, stop in pairwise([*begins, end] if start < end else []):
            local = local_time(self._zone, begin)
            until = local + (stop - begin)
            if not self._follows_the_wall_clock and (past := [change for change in changes if change <= begin]):
                shown = local_time(self._zone, past[-1] - SECOND) + SECOND
                if past[-1] == begin and shown < local and not count_matches(sim, local, local + SECOND):
                    number += bool(count_matches(sim, shown, local))  # what was skipped runs right after it
                local = max(local, shown)  # what comes twice has run the first time
            number += count_matches(sim, local, until)
        return number

    def __repr__(self) -> str:  # also that of a Daily, which is no more than its line
        return f"CronLine({', '.join([repr(self.line), f'timezone={self.timezone!r}', *self._written_options()])})"

    def _exhausted(self, time: datetime) -> InvalidSchedule:
        return InvalidSchedule(f"The cron line {self.line!r} matches no time after {time}.")

    def for_cron(self, name: str) -> CronLine:
        minute, rest = self.line.split(" ", 1)
        if minute != STABLE_MINUTE:
            return self
        schedule = copy(self)
        schedule.line = f"{stable_minute(name)} {rest}"
        return schedule

    @property
    def _follows_the_wall_clock(self) -> bool:
        minute, hour, *_ = self.line.split(" ")
        return minute.startswith("*") or hour.startswith("*")


class Hourly(CronLine):
    """Run every hour. Without ``minute``, the cron's name chooses one. Takes the options of ``CronLine``."""

    def __init__(self, *, minute: int | None = None, **options: Unpack[LineOptions]) -> None:
        super().__init__(f"{_minute(minute)} * * * *", **options)


class Daily(CronLine):
    """Run every day. Without ``minute``, the cron's name chooses one. Takes the options of ``CronLine``."""

    def __init__(self, *, hour: int, minute: int | None = None, **options: Unpack[LineOptions]) -> None:
        super().__init__(f"{_minute(minute)} {_hour(hour)} * * *", **options)


class Weekly(CronLine):
    """Run once a week, on a day such as ``"monday"``. Takes the options of ``Daily``."""

    def __init__(self, *, day: Weekday, hour: int, minute: int | None = None, **options: Unpack[LineOptions]) -> None:
        if day not in (weekdays := get_args(Weekday)):
            raise InvalidSchedule(f"day must be one of {', '.join(weekdays)}, not {day!r}.")
        super().__init__(f"{_minute(minute)} {_hour(hour)} * * {day[:3]}", **options)


class Monthly(CronLine):
    """Run once a month, on a day from 1 to 31; months without that day are skipped. Takes the options of ``Daily``."""

    def __init__(self, *, day: int, hour: int, minute: int | None = None, **options: Unpack[LineOptions]) -> None:
        super().__init__(f"{_minute(minute)} {_hour(hour)} {_number('day', day, 1, 31)} * *", **options)


def count_matches(sim: CronSim, start: datetime, end: datetime) -> int:
    """Count the local times that match a line, from the first one on and before the other one."""
    number = 0
    minutes = sorted(sim.minutes)
    hour = start.replace(minute=0, second=0, microsecond=0)
    while hour < end:
        if hour.hour in sim.hours and hour.month in sim.months and sim.match_day(hour.date()):
            lowest = -((hour - start) // MINUTE) if hour < start else 0
            highest = -((hour - end) // MINUTE)
            number += bisect_left(minutes, highest) - bisect_left(minutes, lowest)
        hour += HOUR
    return number


def stable_minute(name: str) -> int:
    """Return the minute for the cron of that name: the same one in every process and version."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % 60


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, TypeError, OSError) as error:
        hint = did_you_mean(name, available_timezones()) or ' Zones are named as in "Europe/Berlin".'
        raise InvalidSchedule(f"There is no time zone {name!r}.{hint}") from error


def _refuse_invalid_line(line: str) -> None:
    checked = for_cronsim(line)
    try:
        match = next(CronSim(checked, datetime(2000, 1, 1)), None)  # noqa: DTZ001  (any time)
    except CronSimError:  # a day that none of the months has
        match = None
    if match is None:
        raise InvalidSchedule(f"The cron line {line!r} is not valid: it matches no day, so it would never run.")


def _minute(minute: int | None) -> str:
    return STABLE_MINUTE if minute is None else _number("minute", minute, 0, 59)


def _hour(hour: int) -> str:
    return _number("hour", hour, 0, 23)


def _number(what: str, number: int, lowest: int, highest: int) -> str:
    if not is_whole(number, lowest, highest):
        raise InvalidSchedule(f"{what} must be a whole number from {lowest} to {highest}, not {number!r}.")
    return str(number)
