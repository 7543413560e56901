"""The cron lines that have a name: hourly, daily, weekly and monthly."""

from __future__ import annotations

from typing import Literal, get_args

from django_scheduler.crons.cron_lines import STABLE_MINUTE, CronLine
from django_scheduler.crons.schedules import CatchUp, is_whole
from django_scheduler.errors import InvalidSchedule

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
