"""Celery's schedules and options in our words, for entries of ``beat_schedule`` and of django-celery-beat.

A crontab has read its fields already: it holds the numbers that each of them means, and they are written here as a
cron line. One thing differs. In Celery the day of the month and the day of the week both have to match, always. In a
cron line one of the two is enough, unless a field begins with ``*`` or the weekday is counted, as in ``mon#1``. So
where both are restricted, one of these two forms is looked for, and what has neither is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from importlib import import_module
from typing import Any, Protocol, cast
from zoneinfo import available_timezones

from django.utils import timezone

from django_scheduler.crons import CronLine, Interval, Schedule, line_syntax
from django_scheduler.importing.entries import ContinuedInterval, NothingToDo, Refusal

MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK = line_syntax.FIELDS

DAY, ONE_HOUR, ONE_MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)

FOLLOWS_THE_SUN = (
    "It follows the sun, and crons follow the clock. Register a cron that runs every day soon after midnight, with a"
    " function that computes the time of the event and calls ctx.scheduler.run_at()."
)

#: More numbers than these are written as a step, where they are one.
LONGEST_LIST = 3

#: The days of a month on which a weekday comes for the first, second, … time.
WEEKS = {number: {*range(7 * number - 6, min(7 * number, 31) + 1)} for number in range(1, 6)}


class Crontab(Protocol):
    """Is what is read of ``celery.schedules.crontab``."""

    minute: set[int]
    hour: set[int]
    day_of_month: set[int]
    month_of_year: set[int]
    day_of_week: set[int]
    tz: tzinfo
    nowfun: Callable[[], datetime] | None


class Frequency(Protocol):
    """Is what is read of ``celery.schedules.schedule``."""

    run_every: timedelta
    relative: bool
    tz: tzinfo


def schedule_of(schedule: object, *, begin: datetime) -> Schedule:
    """Return a schedule of Celery's as one of ours. ``begin`` is on the grid of an interval.

    Raises ``Refusal``.
    """
    schedules = import_module("celery.schedules")
    if type(schedule).__module__.partition(".")[0] in ("celery", "django_celery_beat"):
        if isinstance(schedule, schedules.crontab):
            return _cron_line_of(cast(Crontab, schedule))
        if isinstance(schedule, schedules.schedule):
            return _interval_of(cast(Frequency, schedule), begin)
        if isinstance(schedule, schedules.solar):
            raise Refusal(FOLLOWS_THE_SUN)
    raise Refusal(
        f"Its schedule is a {type(schedule).__name__}, which only its author can say in other words: an Interval, a"
        " CronLine, or a function that schedules itself again with ctx.scheduler.run_at()."
    )


def line_of(minutes: set[int], hours: set[int], days: set[int], months: set[int], weekdays: set[int]) -> str:
    """Return the cron line that matches at these numbers of its fields, of days if both match.

    Raises ``Refusal`` if no line does.
    """
    minute, hour, month = _numbers(MINUTE, minutes), _numbers(HOUR, hours), _numbers(MONTH, months)
    day, weekday = _numbers(DAY_OF_MONTH, days), _numbers(DAY_OF_WEEK, weekdays)
    if day != "*" and weekday != "*":
        weeks = [number for number, week in WEEKS.items() if week <= days]
        if days == set[int]().union(*(WEEKS[number] for number in weeks)):
            names = [DAY_OF_WEEK.shown(number) for number in sorted(weekdays)]
            day, weekday = "*", ",".join(f"{name}#{number}" for number in weeks for name in names)
        elif step := _step(days, 1, 31):
            day = f"*/{step}"
        elif step := _step(weekdays, 0, 6):
            weekday = f"*/{step}"
        else:
            raise Refusal(
                "In Celery day_of_month and day_of_week both have to match, and in a cron line one of the two is"
                f' enough. Register crons.CronLine("{minute} {hour} {day} {month} *"), and have the function return at'
                f" once unless it is {weekday}."
            )
    return f"{minute} {hour} {day} {month} {weekday}"


def _cron_line_of(crontab: Crontab) -> CronLine:
    zone = zone_of(crontab.tz)
    shown = str(crontab.nowfun().tzinfo or "no zone") if crontab.nowfun else zone
    if shown != zone:
        raise Refusal(
            f"Its nowfun has times of {shown}, and the app those of {zone}: which of them it goes by depends on the"
            " version of Celery. Register it with the timezone= that you mean."
        )
    fields = (crontab.minute, crontab.hour, crontab.day_of_month, crontab.month_of_year, crontab.day_of_week)
    return CronLine(line_of(*fields), timezone=zone)


def _interval_of(frequency: Frequency, begin: datetime) -> Schedule:
    every = frequency.run_every
    if every < timedelta(seconds=1):
        raise Refusal(
            f"It runs every {every.total_seconds():g} seconds, and a cron at most once a second. Register one with"
            " crons.Interval(seconds=1) whose function does it several times."
        )
    if frequency.relative and every >= ONE_MINUTE:
        return CronLine(_line_of_relative(every), timezone=zone_of(frequency.tz))
    return ContinuedInterval(Interval(every=every), begin=begin)


def _line_of_relative(every: timedelta) -> str:
    """Return the line of an interval that Celery rounds to full days, hours or minutes."""
    lines = {DAY: "0 0 * * *", ONE_HOUR: "0 * * * *", ONE_MINUTE: "* * * * *"}
    if line := lines.get(every):
        return line
    unit = next(unit for unit in lines if every >= unit)
    instead = ""
    for larger, smaller, written in ((DAY, ONE_HOUR, "0 */{} * * *"), (ONE_HOUR, ONE_MINUTE, "*/{} * * * *")):
        if unit == smaller and not every % smaller and not larger % every:
            instead = f'crons.CronLine("{written.format(every // smaller)}"), or '
    raise Refusal(
        f"It runs every {every} and is rounded down (relative=True), so its times depend on when beat was started."
        f" Register {instead}crons.Interval(...), which keeps its grid."
    )


def zone_of(zone: tzinfo) -> str:
    """Return the name of a time zone. Raises ``Refusal`` if it has none that every host knows."""
    name = str(zone)
    if name not in available_timezones():
        raise Refusal(
            f"Its times are those of the host ({name}), and crons name their zone. Set timezone in Celery's"
            " configuration, or register it with the timezone= that you mean."
        )
    return name


def _numbers(field: line_syntax.Field, numbers: set[int]) -> str:
    """Return numbers as a field of a cron line has them."""
    lowest, highest = field.lowest, 6 if field is DAY_OF_WEEK else field.highest
    step = _step(numbers, lowest, highest)
    if step == 1:
        return "*"
    if step and len(numbers) > LONGEST_LIST and not field.words:
        return f"*/{step}"
    parts, ordered = [], sorted(numbers)
    while ordered:
        length = next((each for each in range(1, len(ordered)) if ordered[each] != ordered[0] + each), len(ordered))
        run, ordered = [field.shown(number) for number in ordered[:length]], ordered[length:]
        parts.extend([f"{run[0]}-{run[-1]}"] if length > 2 else run)
    return ",".join(parts)


def _step(numbers: set[int], lowest: int, highest: int) -> int | None:
    """Return the step that leads to just these numbers of a field; ``None`` if there is none."""
    steps = (step for step in range(1, highest - lowest + 2) if numbers == {*range(lowest, highest + 1, step)})
    return next(steps, None)


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """Holds what a message is sent with: see ``Entry``."""

    queue: str | None
    expires: timedelta | None
    notes: tuple[str, ...]


def options_of(options: Mapping[str, Any], now: datetime) -> TaskOptions:
    """Read the options of an entry.

    Raises ``NothingToDo`` if it has ended, and ``Refusal`` if it is going to.
    """
    others = {name: value for name, value in options.items() if value not in (None, "", {}, [], ())}
    queue, expires = others.pop("queue", None), others.pop("expires", None)
    notes = []
    length: timedelta | None = None
    match expires:
        case datetime():
            refuse_what_ends(timezone.make_aware(expires) if timezone.is_naive(expires) else expires, now)
        case timedelta():
            length = expires
        case int() | float():
            length = timedelta(seconds=expires)
        case _ if expires is not None:
            notes.append(f"its expires={expires!r} is not carried over: expires= of the function takes a timedelta.")
    if "priority" in others:
        notes.append(
            f"its priority {others.pop('priority')} is not carried over: the function says it (priority=), and here the"
            " highest starts first."
        )
    if "headers" in others:
        notes.append(
            f"its headers ({', '.join(map(str, others.pop('headers')))}) are not carried over: what travels with a"
            " function is its arguments, and the context of a middleware."
        )
    if others:
        notes.append(f"its {', '.join(others)} is not carried over: it concerns messages of Celery.")
    return TaskOptions(None if queue is None else str(queue), length, tuple(notes))


def refuse_what_ends(end: datetime, now: datetime) -> None:
    """Raise what is to be said of an entry that runs only until a time."""
    if end <= now:
        raise NothingToDo(f"It has ended, at {end.isoformat(sep=' ', timespec='minutes')}.")
    raise Refusal(
        f"It ends at {end.isoformat(sep=' ', timespec='minutes')}, and a cron does not end by itself. Register it, and"
        " schedule a mutation for then that calls ctx.crons.delete()."
    )


def refuse_lazy_arguments(arguments: list[Any]) -> None:
    """Raise ``Refusal`` for arguments that beat computes whenever it sends a message."""
    lazy = getattr(import_module("celery.beat"), "BeatLazyFunc", ())
    if any(isinstance(argument, lazy) for argument in arguments):
        raise Refusal(
            "One of its arguments is computed anew for each run (BeatLazyFunc), and those of a cron are always the"
            " same. Have the function compute it."
        )


def refuse_own_task(task: str) -> None:
    """Raise ``NothingToDo`` for the task that deletes Celery's results."""
    if task == "celery.backend_cleanup":
        raise NothingToDo("It deletes Celery's results. Executors delete finished functions by themselves (RETENTION).")
