"""Previews show people the schedule of a cron in words, its next runs, and how much is going to run when."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise

from cronsim import CronSim
from django.db import router
from django.utils import timezone
from django.utils.translation import gettext, ngettext_lazy

from django_scheduler.crons.cron_lines import CronLine
from django_scheduler.crons.models import Cron
from django_scheduler.crons.schedules import Interval, Schedule
from django_scheduler.errors import InvalidSchedule
from django_scheduler.times import in_utc

#: How many crons are counted for a histogram.
MOST_CRONS = 2_000

_UNITS = [
    (timedelta(days=1), ngettext_lazy("every %(count)d day", "every %(count)d days", "count")),
    (timedelta(hours=1), ngettext_lazy("every %(count)d hour", "every %(count)d hours", "count")),
    (timedelta(minutes=1), ngettext_lazy("every %(count)d minute", "every %(count)d minutes", "count")),
    (timedelta(seconds=1), ngettext_lazy("every %(count)d second", "every %(count)d seconds", "count")),
]


def in_words(cron: Cron) -> str:
    """Describe the schedule of a cron, as in "every 10 minutes", or in English "At 09:00 on Monday through Friday"."""
    try:
        schedule = cron.schedule
    except InvalidSchedule:
        return cron.line
    if isinstance(schedule, CronLine):
        return CronSim(schedule.line, timezone.now()).explain()
    assert isinstance(schedule, Interval)
    for unit, text in _UNITS:
        if schedule.every % unit == timedelta(0):
            return text % {"count": schedule.every // unit}
    return gettext("every %(length)s") % {"length": schedule.every}


def next_runs(schedule: Schedule, now: datetime, number: int, *, anchor: datetime | None = None) -> list[datetime]:
    """Return the next slots of a schedule; without an anchor, those of a cron that is added now."""
    first = schedule.first_slot(now) if anchor is None else schedule.next_after(now, anchor=anchor)
    anchor = anchor or now
    slots = [first]
    while len(slots) < number:
        slots.append(schedule.next_after(slots[-1], anchor=anchor))
    return slots


def upcoming(start: datetime, end: datetime, *, width: timedelta, using: str | None = None) -> list[int]:
    """Count the slots of active crons in each part of ``width`` between two times, for a histogram.

    Slots are not looked at one by one, and crons of the same cron line and zone are counted once, so it takes a second
    at most: beyond ``MOST_CRONS``, only those that run first are counted.

    Example::

        upcoming(now, now + timedelta(days=1), width=timedelta(hours=1))
    """
    start, end = in_utc(start), in_utc(end)
    bounds = [*(start + part * width for part in range(-(-(end - start) // width))), end]
    counts = [0] * (len(bounds) - 1)
    crons = Cron.objects.using(using or router.db_for_read(Cron)).filter(next_time__lt=end).order_by("next_time")
    lines: Counter[tuple[str, str, datetime]] = Counter()
    for cron in crons[:MOST_CRONS]:
        assert cron.next_time is not None
        if cron.every is None:
            lines[cron.line, cron.timezone, max(cron.next_time, start)] += 1
        else:
            _add(counts, [_grid_slots(cron, *part) for part in pairwise(bounds)])
    for (line, zone, first), number in lines.items():
        slots = _line_slots(line, zone, [max(first, bound) for bound in bounds])
        _add(counts, [number * each for each in slots])
    return counts


def _add(counts: list[int], others: list[int]) -> None:
    for part, number in enumerate(others):
        counts[part] += number


def _grid_slots(cron: Cron, start: datetime, end: datetime) -> int:
    """Return how many slots there are from ``start`` on and before ``end``, beginning with the next run."""
    assert cron.every is not None
    assert cron.next_time is not None
    first = max(0, -((cron.next_time - start) // cron.every))
    before_end = -((cron.next_time - end) // cron.every)
    return max(0, before_end - first)


def _line_slots(line: str, zone: str, bounds: list[datetime]) -> list[int]:
    try:
        return CronLine(line, timezone=zone).count_slots(bounds)
    except InvalidSchedule:  # its zone is gone; when it is due, that is recorded
        return [0] * (len(bounds) - 1)
