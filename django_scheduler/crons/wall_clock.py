"""Instants and the clocks on the wall: what a time zone's clocks show, and when they are changed.

Whatever class of datetime comes in, plain ones in UTC go on. A freezegun's knows nothing of ``fold``, by which the
second of two equal hours is told from the first, and in a zone of its own a datetime adds up what the wall shows.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django_scheduler.times import EPOCH

LOCAL_EPOCH = EPOCH.replace(tzinfo=None)

#: No zone has ever changed its clocks twice within this time.
STEP = timedelta(days=1)


def plain(moment: datetime) -> datetime:
    """The same instant, in UTC."""
    return EPOCH + (moment - EPOCH)


def plain_local(local: datetime) -> datetime:
    """The same time without a zone."""
    return LOCAL_EPOCH + (local - LOCAL_EPOCH)


def local_time(zone: ZoneInfo, moment: datetime) -> datetime:
    """What the clocks show at an instant, without the zone."""
    return moment.astimezone(zone).replace(tzinfo=None)


def moment_of(zone: ZoneInfo, local: datetime) -> datetime:
    """When the clocks show a time: for the first time if they do so twice, and if they skip it, right after that."""
    moment = local.replace(tzinfo=zone).astimezone(UTC)
    if local_time(zone, moment) == local:
        return moment
    *_, skip = clock_changes(zone, moment - STEP, moment)
    return skip


def clock_changes(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """The instants after ``start`` and up to ``end`` from which another offset holds."""
    before = _offset(zone, start)
    while start < end:
        stop = min(start + STEP, end)
        after = _offset(zone, stop)
        if before != after:
            yield _change_between(zone, start, stop)
        start, before = stop, after


def _change_between(zone: ZoneInfo, start: datetime, end: datetime) -> datetime:
    """The change that is between two instants: zones have them at full seconds."""
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
