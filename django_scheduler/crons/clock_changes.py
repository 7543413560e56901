"""When the clocks of a time zone change."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

#: No zone has ever changed its clocks twice within this time.
STEP = timedelta(days=1)


def clock_changes(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """The instants after ``start`` and up to ``end`` from which another offset holds."""
    while start < end:
        stop = min(start + STEP, end)
        if _offset(zone, start) != _offset(zone, stop):
            yield _change_between(zone, start, stop)
        start = stop


def first_full_hour(zone: ZoneInfo, moment: datetime) -> datetime:
    """The first instant from ``moment`` on at which the zone's clocks show a full hour."""
    local = moment.astimezone(zone)
    past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return moment + (timedelta(hours=1) - past if past else past)


def _change_between(zone: ZoneInfo, start: datetime, end: datetime) -> datetime:
    before, after = int(start.timestamp()), int(-(-end.timestamp() // 1))
    offset = _offset(zone, start)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(zone, datetime.fromtimestamp(middle, UTC)) == offset:
            before = middle
        else:
            after = middle
    return datetime.fromtimestamp(after, UTC)


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta | None:
    return moment.astimezone(zone).utcoffset()
