"""The tables of django-celery-beat."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from importlib import import_module
from typing import Any, Protocol

from django_scheduler.crons import Interval, Schedule
from django_scheduler.importing.celery_schedules import (
    FOLLOWS_THE_SUN,
    TaskOptions,
    options_of,
    refuse_own_task,
    refuse_what_ends,
    schedule_of,
)
from django_scheduler.importing.entries import (
    Entry,
    NothingToDo,
    Read,
    Refusal,
    begins_later,
    model_of,
    read_each,
)


class ScheduleRow(Protocol):
    """Is an interval, a crontab or a solar event."""

    @property
    def schedule(self) -> object: ...


class ClockedRow(Protocol):
    clocked_time: datetime


class PeriodicTask(Protocol):
    """Is what is read of a row of ``PeriodicTask``."""

    pk: int
    name: str
    task: str
    interval: ScheduleRow | None
    crontab: ScheduleRow | None
    solar: ScheduleRow | None
    clocked: ClockedRow | None
    args: str
    kwargs: str
    queue: str | None
    exchange: str | None
    routing_key: str | None
    headers: str | None
    priority: int | None
    expires: datetime | None
    expire_seconds: int | None
    one_off: bool
    start_time: datetime | None
    enabled: bool
    last_run_at: datetime | None
    total_run_count: int
    date_changed: datetime


def read(now: datetime) -> list[Read]:
    """Read the periodic tasks of django-celery-beat.

    Raises ``SourceMissing``.
    """
    model = model_of("django-celery-beat", "django_celery_beat", "PeriodicTask")
    rows = model.objects.select_related("interval", "crontab", "solar", "clocked")

    def read_row(pk: int) -> Entry:  # one at a time: a field that cannot be read would keep the others from being read
        row: PeriodicTask | None = rows.filter(pk=pk).first()
        if row is None:
            raise NothingToDo("It has just been deleted.")
        return _read_row(row, now)

    return read_each((name, partial(read_row, pk)) for pk, name in rows.order_by("pk").values_list("pk", "name"))


def _read_row(row: PeriodicTask, now: datetime) -> Entry:
    refuse_own_task(row.task)
    options = _options_of(row, now)
    args, kwargs = _json(row.args or "[]", list), _json(row.kwargs or "{}", dict)
    if row.one_off or row.clocked:
        when: Schedule | datetime = _time_of(row)
    else:
        if row.expires is not None:
            refuse_what_ends(row.expires, now)
        if row.start_time is not None and row.start_time > now:
            raise begins_later(row.start_time)
        when = _schedule_of(row)
    return Entry(
        name=row.name,
        id=f"django-celery-beat {row.pk}",
        task=row.task,
        when=when,
        args=tuple(args),
        kwargs=kwargs,
        paused=not row.enabled,
        queue=options.queue,
        expires=row.expires or options.expires,
        notes=options.notes,
    )


def _schedule_of(row: PeriodicTask) -> Schedule:
    given: list[ScheduleRow] = [each for each in (row.interval, row.crontab, row.solar) if each]
    if len(given) != 1:
        raise Refusal(f"It has {len(given) or 'no'} schedules. Give it one in the admin of django-celery-beat.")
    if row.solar:  # without asking it: it may need a package of its own to compute with
        raise Refusal(FOLLOWS_THE_SUN)
    try:
        schedule = given[0].schedule
    except (ValueError, TypeError, OverflowError) as error:
        raise Refusal(f"Celery itself cannot read its schedule: {error}") from error
    return schedule_of(schedule, begin=_last_run(row))


def _last_run(row: PeriodicTask) -> datetime:
    """Return from when on the next run is computed."""
    return row.last_run_at or row.date_changed


def _time_of(row: PeriodicTask) -> datetime:
    """Return when something runs that runs once.

    It is computed from what is on record alone, so that it is the same time whenever the row is imported.
    """
    if not row.enabled:
        raise NothingToDo("It is disabled, as tasks that run once are after they have run.")
    if row.total_run_count:
        raise NothingToDo("It was to run once, and it has.")
    time = row.clocked.clocked_time if row.clocked else _first_match(row)
    if row.expires is not None and row.expires <= time:
        raise NothingToDo("It was to run once, and has expired before.")
    return time


def _first_match(row: PeriodicTask) -> datetime:
    """Return the first time at which a schedule runs, after its start or its last run."""
    schedule = _schedule_of(row)
    if isinstance(schedule, Interval):
        return row.start_time or _last_run(row) + schedule.every
    last = row.start_time or _last_run(row)
    return schedule.next_after(last, anchor=last)


def _options_of(row: PeriodicTask, now: datetime) -> TaskOptions:
    return options_of(
        {
            "queue": row.queue,
            "exchange": row.exchange,
            "routing_key": row.routing_key,
            "priority": row.priority,
            "expires": row.expire_seconds,
            "headers": _json(row.headers or "{}", dict),
        },
        now,
    )


def _json(text: str, kind: type[list[Any] | dict[str, Any]]) -> Any:
    """Return what is stored as Celery's JSON, which also has times, UUIDs and decimals."""
    try:
        value: object = import_module("kombu.utils.json").loads(text)
    except ValueError as error:
        raise Refusal(f"{text!r} is not JSON ({error}), so beat does not run it either.") from error
    if not isinstance(value, kind):
        raise Refusal(f"Its arguments are a list and a dict, as JSON; {text!r} is not.")
    return value
