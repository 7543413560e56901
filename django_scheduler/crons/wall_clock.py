"""These functions say what the wall clocks of a time zone show at an instant, and when they change.

Every datetime that comes in is first turned into a plain ``datetime`` in UTC (``times.in_utc``).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django_scheduler.times import EPOCH

LOCAL_EPOCH = EPOCH.replace(tzinfo=None)

#: No zone has ever changed its clocks twice within this time.
STEP = timedelta(days=1)


def plain_local(local: datetime) -> datetime:
    """Return the same local time as a plain datetime without a zone."""
    return LOCAL_EPOCH + (local - LOCAL_EPOCH)


def local_time(zone: ZoneInfo, moment: datetime) -> datetime:
    """Return what the clocks of a zone show at an instant, as a datetime without a zone."""
    return moment.astimezone(zone).replace(tzinfo=None)


def moment_of(zone: ZoneInfo, local: datetime) -> datetime:
    """Return when the clocks show a local time: the first time if twice, right after it if they skip it."""
    moment = local.replace(tzinfo=zone).astimezone(UTC)
    if local_time(zone, moment) == local:
        return moment
    *_, skip = clock_changes(zone, moment - STEP, moment)
    return skip


def clock_changes(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the instants after ``start``, up to and including ``end``, at which the offset of a zone changes."""
    before = _offset(zone, start)
    while start < end:
        stop = min(start + STEP, end)
        after = _offset(zone, stop)
        if before != after:
            yield _change_between(zone, start, stop)
        start, before = stop, after


def _change_between(zone: ZoneInfo, start: datetime, end: datetime) -> datetime:
    """Return the one change between two instants, by bisection: zones change at full seconds."""
    second = timedelta(seconds=1)
    before, after = (start - EPOCH) // second, -((EPOCH - end) // second)
    offset = _offset(zone, start)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(zone, EPOCH + middle * second) == offset:
            before = middle
        else:
            after = middle
    return EPOCH + after * second


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return local_time(zone, moment) - moment.replace(tzinfo=None)
