"""At the times that match a cron line, in a time zone.

Cron lines follow Debian's cron at the two nights when clocks change. A line with a fixed hour and minute runs
once a day: what falls into the hour that is skipped runs right after it, and what falls into the hour that comes
twice runs in the first one. A line whose minute or hour begins with ``*`` runs whenever the clock on the wall
matches: not in the skipped hour, and in both of the repeated ones.

The cron lines that have a name: hourly, daily, weekly and monthly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from django.conf import settings

from django_scheduler.crons.schedules import CatchUp, Schedule, is_whole
from django_scheduler.crons.wall_clock import clock_changes, local_time, moment_of, plain, plain_local
from django_scheduler.errors import InvalidSchedule

LONGEST_LINE = 255

#: The minute of a cron line that is chosen from the cron's name.
STABLE_MINUTE = "H"

SECOND = timedelta(seconds=1)


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


def stable_minute(name: str) -> int:
    """A minute for the cron of that name: the same in every process and version."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % 60


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, TypeError, OSError) as error:
        raise InvalidSchedule(f'There is no time zone {name!r}. Zones are named as in "Europe/Berlin".') from error


Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[str, ...] = get_args(Weekday)


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


def _minute(minute: int | None) -> str:
    return STABLE_MINUTE if minute is None else str(_number("minute", minute, 0, 59))


def _number(what: str, number: int, lowest: int, highest: int) -> int:
    if not is_whole(number, lowest, highest):
        raise InvalidSchedule(f"{what} must be a whole number from {lowest} to {highest}, not {number!r}.")
    return number
