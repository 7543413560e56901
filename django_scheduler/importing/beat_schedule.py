"""The ``beat_schedule`` of a Celery app, with what ``add_periodic_task`` has added to it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from importlib import import_module
from typing import Any

from django_scheduler.importing.celery_schedules import (
    options_of,
    refuse_lazy_arguments,
    refuse_own_task,
    schedule_of,
)
from django_scheduler.importing.entries import Entry, Read, Refusal, SourceMissing, read_each


def read(now: datetime, app: str | None = None) -> list[Read]:
    """Read the entries of a Celery app, such as ``"shop.celery"``; of the one that is in use, if none is named.

    Raises ``SourceMissing``.
    """
    try:
        celery = import_module("celery")
    except ImportError as error:
        raise SourceMissing(f"beat_schedule is read with Celery, which cannot be imported here: {error}.") from error
    try:
        found: Any = import_module("celery.app.utils").find_app(app) if app else celery.current_app
    except (ImportError, AttributeError) as error:
        raise SourceMissing(f"There is no Celery app {app!r}: {error}.") from error
    # As beat does: tasks are imported, because their modules may add entries.
    found.loader.import_default_modules()
    found.finalize()
    schedule: Mapping[str, Any] = found.conf.beat_schedule or {}
    if not schedule and not app:
        raise SourceMissing(
            f"The Celery app {found.main or 'default'!r} has no beat_schedule. If it is another one, name its module:"
            " --app=shop.celery."
        )
    return read_each(
        (str(name), partial(_read_entry, found, str(name), entry, now)) for name, entry in schedule.items()
    )


def _read_entry(app: Any, name: str, entry: Any, now: datetime) -> Entry:
    if not isinstance(entry, Mapping) or not {"task", "schedule"} <= entry.keys():
        raise Refusal("It is no dict with a task and a schedule, so beat does not run it either.")
    refuse_own_task(entry["task"])
    args, kwargs = [*(entry.get("args") or ())], dict(entry.get("kwargs") or {})
    refuse_lazy_arguments([*args, *kwargs.values()])
    options = options_of(entry.get("options") or {}, now)
    notes = [*options.notes]
    schedules = import_module("celery.schedules")
    try:
        schedule = schedules.maybe_schedule(entry["schedule"], bool(entry.get("relative")), app=app)
    except (AttributeError, TypeError, OverflowError) as error:
        raise Refusal(f"Celery itself cannot read its schedule: {error}.") from error
    deadline = app.conf.beat_cron_starting_deadline
    if deadline is not None and isinstance(schedule, schedules.crontab):
        notes.append(
            f"runs that are missed by more than {deadline} seconds are not made up for there"
            ' (beat_cron_starting_deadline); here one is, unless the schedule has catch_up="none".'
        )
    return Entry(
        name=name,
        task=str(entry["task"]),
        when=schedule_of(schedule, begin=now),
        args=tuple(args),
        kwargs=kwargs,
        paused=not entry.get("enabled", True),
        queue=options.queue,
        expires=options.expires,
        notes=tuple(notes),
    )
