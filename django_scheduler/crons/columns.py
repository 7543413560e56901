"""A schedule as columns of ``Cron``, which ``Cron.schedule`` reads."""

from typing import Any

from django_scheduler.crons.cron_lines import CronLine
from django_scheduler.crons.intervals import Interval
from django_scheduler.crons.schedules import Schedule


def columns_of(schedule: Schedule) -> dict[str, Any]:
    """Of a schedule that is a cron's: see ``Schedule.for_cron``."""
    return {
        "every": schedule.every if isinstance(schedule, Interval) else None,
        "line": schedule.line if isinstance(schedule, CronLine) else "",
        "timezone": schedule.timezone if isinstance(schedule, CronLine) else "",
        "catch_up": schedule.catch_up,
        "pause_after_failures": schedule.pause_after_failures,
    }
