"""The calendar: when crons run next, and how much is ahead."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import router

from django_scheduler.crons.cron_lines import CronLine
from django_scheduler.crons.models import Cron
from django_scheduler.crons.schedules import Interval, Schedule
from django_scheduler.errors import InvalidSchedule


def first_slot(schedule: Schedule, now: datetime) -> datetime:
    """The first slot of a cron that is added now: an interval begins at once, as in Convex."""
    return now if isinstance(schedule, Interval) else schedule.next_after(now, anchor=now)


def next_slot(cron: Cron, now: datetime) -> datetime:
    """The next slot of a cron that has been paused, or whose schedule has changed. None ever comes up again."""
    after = now if cron.last_slot is None else max(now, cron.last_slot)
    return cron.schedule.next_after(after, anchor=cron.anchor)


def next_runs(schedule: Schedule, now: datetime, number: int, *, anchor: datetime | None = None) -> list[datetime]:
    """The next slots of a schedule; without an anchor, of a cron that is added now."""
    first = first_slot(schedule, now) if anchor is None else schedule.next_after(now, anchor=anchor)
    anchor = anchor or now
    slots = [first]
    while len(slots) < number:
        slots.append(schedule.next_after(slots[-1], anchor=anchor))
    return slots


def upcoming(start: datetime, end: datetime, *, width: timedelta, using: str | None = None) -> list[int]:
    """How many slots of active crons lie in each part of ``width`` between two times, for a histogram.

    Crons of the same cron line and zone are computed once, and the slots of an interval are not looked at one by one,
    so it takes milliseconds with very many crons.
    """
    parts = -(-(end - start) // width)
    counts = [0] * parts
    crons = Cron.objects.using(using or router.db_for_read(Cron)).filter(next_time__lt=end)
    lines: Counter[tuple[str, str, datetime]] = Counter()
    for cron in crons.iterator():
        assert cron.next_time is not None
        if cron.every is None:
            lines[cron.line, cron.timezone, max(cron.next_time, start)] += 1
        else:
            for part in range(parts):
                counts[part] += _grid_slots(cron, start + part * width, min(start + (part + 1) * width, end))
    for (line, timezone, first), number in lines.items():
        for slot in _line_slots(line, timezone, first, end):
            counts[(slot - start) // width] += number
    return counts


def _grid_slots(cron: Cron, start: datetime, end: datetime) -> int:
    """The slots from ``start`` on and before ``end``, none of which is before the next one."""
    assert cron.every is not None
    assert cron.next_time is not None
    first = max(0, -((cron.next_time - start) // cron.every))
    before_end = -((cron.next_time - end) // cron.every)
    return max(0, before_end - first)


def _line_slots(line: str, timezone: str, start: datetime, end: datetime) -> Iterator[datetime]:
    just_before = timedelta(microseconds=1)
    try:
        schedule = CronLine(line, timezone=timezone)
        yield from schedule.slots(start - just_before, end - just_before, anchor=start)
    except InvalidSchedule:  # its zone is gone; when it is due, that is recorded
        return
