"""A schedule and arguments as columns of ``Cron``, which ``Cron.schedule`` and a run of it read."""

import json
from typing import Any

from django_scheduler import values
from django_scheduler.crons.cron_lines import CronLine
from django_scheduler.crons.intervals import Interval
from django_scheduler.crons.schedules import Schedule
from django_scheduler.functions import AnyFunction


def columns_of(schedule: Schedule) -> dict[str, Any]:
    """Of a schedule that is a cron's: see ``Schedule.for_cron``."""
    return {
        "every": schedule.every if isinstance(schedule, Interval) else None,
        "line": schedule.line if isinstance(schedule, CronLine) else "",
        "timezone": schedule.timezone if isinstance(schedule, CronLine) else "",
        "catch_up": schedule.catch_up,
        "pause_after_failures": schedule.pause_after_failures,
    }


def stored_args(function: AnyFunction, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a function as they are stored.

    Raises ``InvalidArguments``.
    """
    arguments: dict[str, Any] = json.loads(values.dump_arguments(function.name, function.bind(args, kwargs)))
    return arguments
