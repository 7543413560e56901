"""Crontabs of Celery, with their next runs as Celery computes them and as ours do."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from celery import Celery
from celery.schedules import crontab

from django_scheduler.importing.celery_schedules import schedule_of

NUMBER = 12


def compared() -> Iterator[dict[str, Any]]:
    """Yield each crontab with our line, and the next runs of both."""
    app = Celery("in UTC", set_as_current=False)
    app.conf.timezone = "UTC"
    every: list[dict[str, Any]] = [
        {},
        {"minute": "*/15"},
        {"minute": "1,13,30-45,50-59/2"},
        {"minute": [0, 15, 59], "hour": {8, 9}},
        {"minute": 0, "hour": "*/3"},
        {"minute": 0, "hour": "0,8-17/2"},
        {"minute": 0, "hour": "22-2"},
        {"minute": 0, "hour": 0, "day_of_week": 0},
        {"minute": 0, "hour": 0, "day_of_week": "sunday"},
        {"minute": 0, "hour": 0, "day_of_week": "fri-mon"},
        {"minute": 0, "hour": 0, "day_of_week": "*/2"},
        {"minute": 0, "hour": 0, "day_of_week": "*/3"},
        {"minute": 30, "hour": 12, "day_of_month": "*/3"},
        {"minute": 30, "hour": 12, "day_of_month": "2-30/2"},
        {"minute": 30, "hour": 12, "day_of_month": 31},
        {"minute": 30, "hour": 12, "day_of_month": "1-31", "day_of_week": "mon"},
        {"minute": 0, "hour": 6, "day_of_month": 1, "month_of_year": "*/3"},
        {"minute": 0, "hour": 6, "day_of_month": "15", "month_of_year": "jan,dec"},
        {"minute": 0, "hour": 6, "month_of_year": [2, 3]},
        {"minute": 0, "hour": 9, "day_of_month": "1-7", "day_of_week": "mon"},
        {"minute": 0, "hour": 9, "day_of_month": "1-7,15-21", "day_of_week": "mon,wed"},
        {"minute": 0, "hour": 9, "day_of_month": "29-31", "day_of_week": "tue"},
        {"minute": 0, "hour": 9, "day_of_month": "*/2", "day_of_week": "mon"},
        {"minute": 0, "hour": 9, "day_of_month": "*/10", "day_of_week": "1-5"},
        {"minute": 0, "hour": 9, "day_of_month": "1-10", "day_of_week": "*/2"},
        {"minute": 0, "hour": 9, "day_of_month": 1, "day_of_week": "sun"},
    ]
    for fields in every:
        time = datetime(2026, 1, 1, tzinfo=UTC)
        theirs = crontab(**fields, app=app, nowfun=lambda: datetime(2026, 1, 1, tzinfo=UTC))
        ours: Any = schedule_of(theirs, begin=time)
        runs, slots, slot = [], [], time
        for _ in range(NUMBER):
            time = time + max(_remaining(theirs, time), timedelta(0))
            slot = ours.next_after(slot, anchor=slot)
            runs.append(time.isoformat())
            slots.append(slot.isoformat())
        yield {"fields": repr(fields), "line": ours.line, "theirs": runs, "ours": slots}


def _remaining(crontab: Any, time: datetime) -> timedelta:
    """Return how long it is from a run at that time to the next one."""
    crontab.nowfun = lambda: time
    remaining: timedelta = crontab.remaining_estimate(time)
    return remaining
