"""The schedules of django-q2.

Most of its kinds have no fields: they add a day, a month and so on to ``next_run``, as the clocks of their zone show
it. So the next run says at which minute, hour and day each later one is, and that becomes a cron line.
"""

from __future__ import annotations

import ast
from calendar import monthrange
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from django_scheduler.crons import CronLine, Interval, Schedule, line_syntax
from django_scheduler.importing.entries import (
    ContinuedInterval,
    Entry,
    NothingToDo,
    Read,
    Refusal,
    begins_later,
    model_of,
    read_each,
)

ONCE, CRON = "O", "C"
#: The kinds that add months, and how many.
MONTHS = {"M": 1, "BM": 2, "Q": 3, "Y": 12}

MINUTE, *_, MONTH, DAY_OF_WEEK = line_syntax.FIELDS

#: By how much a first run may be earlier than there: cron lines have no seconds.
TOLERANCE = timedelta(minutes=1)


class ScheduleRow(Protocol):
    """Is what is read of a row of ``Schedule``."""

    pk: int
    name: str | None
    func: str
    hook: str | None
    args: str | None
    kwargs: str | None
    schedule_type: str
    minutes: int | None
    repeats: int
    next_run: datetime | None
    cron: str | None
    cluster: str | None
    intended_date_kwarg: str | None


def read(now: datetime) -> list[Read]:
    """Read the schedules of django-q2.

    Raises ``SourceMissing``.
    """
    rows: list[ScheduleRow] = list(model_of("django-q2", "django_q", "Schedule").objects.order_by("pk"))
    names = _names_of(rows)
    return read_each((names[row.pk], partial(_read_row, row, names[row.pk], now)) for row in rows)


def _names_of(rows: list[ScheduleRow]) -> dict[int, str]:
    """Name the schedules: there, a name may be missing, or be that of several. Of these the first one keeps it.

    The names of crons are compared regardless of case.
    """
    names: dict[int, str] = {}
    used: set[str] = set()

    def use(name: str, row: ScheduleRow) -> None:
        if name.casefold() not in used:
            used.add(name.casefold())
            names[row.pk] = name

    for row in rows:
        if name := (row.name or "").strip():
            use(name, row)
    for row in rows:
        name = (row.name or "").strip() or row.func.rpartition(".")[2]
        while row.pk not in names:
            name = f"{name} {row.pk}"
            use(name, row)
    return names


def _read_row(row: ScheduleRow, name: str, now: datetime) -> Entry:
    if row.repeats == 0:
        raise NothingToDo("It has no repeats left.")
    if row.next_run is None:
        raise NothingToDo("It has no next_run, so it does not run there.")
    if row.intended_date_kwarg:
        raise Refusal(
            f"Its function is given the time that each run was meant for ({row.intended_date_kwarg}), and the arguments"
            " of a cron are always the same. Have the function read scheduled_time of the ScheduledFunction"
            " ctx.function_id, and register it without that argument."
        )
    next_run = row.next_run
    when: Schedule | datetime = next_run
    if row.schedule_type != ONCE and row.repeats != 1:
        when = _schedule_of(row, next_run)
        if row.repeats > 0:
            raise Refusal(
                f"It ends after {row.repeats} more runs, and a cron does not end by itself. Register it, and have the"
                " function count, and call ctx.crons.delete()."
            )
        if when.first_slot(now) < next_run - TOLERANCE:
            raise begins_later(next_run)
    args, kwargs = _args(row.args or ""), _kwargs(row.kwargs or "")
    notes = []
    if row.hook:
        notes.append(
            f"its hook {row.hook} is not carried over: have the function schedule what follows, or a receiver of"
            " function_finished do it."
        )
    if options := kwargs.pop("q_options", None):
        notes.append(f"its q_options {options!r} are not carried over: the function declares what it can have of them.")
    return Entry(
        name=name,
        id=f"django-q2 {row.pk}",
        task=row.func,
        when=when,
        args=args,
        kwargs=kwargs,
        queue=row.cluster or None,
        notes=tuple(notes),
    )


def _schedule_of(row: ScheduleRow, next_run: datetime) -> Schedule:
    conf: Any = import_module("django_q.conf").Conf
    zone = str(conf.TIME_ZONE)
    # With catch_up, its default, each run that was missed is made up for; with a cron line none is.
    makes_up: Any = {"catch_up": "all"} if conf.CATCH_UP and row.schedule_type != CRON else {}
    local = next_run.astimezone(ZoneInfo(zone))
    time, weekday = f"{local.minute} {local.hour}", DAY_OF_WEEK.shown(local.isoweekday() % 7)
    match row.schedule_type:
        case "I":
            return ContinuedInterval(Interval(minutes=row.minutes or 1, **makes_up), begin=next_run)
        case "H":
            line = f"{local.minute} * * * *"
        case "D":
            line = f"{time} * * *"
        case "W":
            line = f"{time} * * {weekday}"
        case "BW":
            raise Refusal(
                "No cron line says every second week. Register"
                f' crons.CronLine("{time} * * {weekday}", timezone="{zone}"), and have the function return at once in'
                " every other week; or crons.Interval(every=timedelta(days=14)), which moves by an hour when the"
                " clocks change."
            )
        case "C":
            return CronLine(_line_of_croniter(row.cron or ""), timezone=zone)
        case kind if kind in MONTHS:
            line = f"{time} {_day_and_months(local, MONTHS[kind])} *"
        case kind:
            raise Refusal(f"Its kind {kind!r} is not known here. Register what it stands for in other words.")
    return CronLine(line, timezone=zone, **makes_up)


def _day_and_months(local: datetime, step: int) -> str:
    """Return the day of month, and the months, of what recurs every so many months."""
    months = sorted({(local.month - 1 + offset) % 12 + 1 for offset in range(0, 12, step)})
    shortest = min(monthrange(2026, month)[1] for month in months)  # in a year with 28 days in February
    if local.day > shortest:
        raise Refusal(
            f"It runs on day {local.day}, which not all of its months have: there, the day is moved to an earlier one,"
            " and stays there; a cron skips such a month. Register crons.CronLine() with a day that all of them have,"
            " or with L, the last day of the month."
        )
    return f"{local.day} {'*' if step == 1 else ','.join(map(MONTH.shown, months))}"


def _line_of_croniter(line: str) -> str:
    """Return a line of croniter's, as far as it means the same here.

    Raises ``Refusal``.
    """
    line = line_syntax.NICKNAMES.get(line.strip().lower(), line)
    fields = line.split()
    if len(fields) > 5:
        raise Refusal(f"Its line {line!r} has seconds or a year at its end. Leave them out, or register an Interval.")
    if len(fields) == 5:
        days, weekdays = fields[2], fields[4]
        if "*" not in (days, weekdays) and (days.startswith("*") or weekdays.startswith("*")):
            raise Refusal(
                f"In its line {line!r} either of the two days is enough there, and here both have to match, because one"
                " of them begins with *. Write the numbers of that field, or register two crons."
            )
    return line


def _args(text: str) -> tuple[Any, ...]:
    """Read positional arguments, as in ``1, 2, "John"``."""
    if not text.strip():
        return ()
    try:
        value: object = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise Refusal(f"Its arguments {text!r} are no Python literals, so it does not run there either.") from error
    return value if isinstance(value, tuple) else (value,)


def _kwargs(text: str) -> dict[str, Any]:
    """Read keyword arguments, as in ``x=1, name="John"``, or as a dict."""
    if not text.strip():
        return {}
    try:
        expression = ast.parse(
            text.strip() if text.strip().startswith("{") else f"dict({text.strip()})", mode="eval"
        ).body
        if isinstance(expression, ast.Call) and isinstance(expression.func, ast.Name) and not expression.args:
            value: Any = {each.arg: ast.literal_eval(each.value) for each in expression.keywords}
        else:
            value = ast.literal_eval(expression)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise Refusal(f"Its keyword arguments {text!r} are no Python literals. django-q2 leaves them out.") from error
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise Refusal(f"Its keyword arguments {text!r} are not named by text.")
    return value
