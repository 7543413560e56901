"""Datetimes, dates, times of day and durations.

A ``ZoneInfo`` is kept by its key, with local time and fold: no offset would do for a time which the clocks
skip. Any other tzinfo becomes its offset.
"""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from typing import TypeVar
from zoneinfo import ZoneInfo

from django_scheduler.values.json_text import JSONValue
from django_scheduler.values.problem import ValueProblem, malformed
from django_scheduler.values.scalars import text

Moment = TypeVar("Moment", datetime, time)


# datetime.isoformat(value), not value.isoformat(): a subclass may write more than fromisoformat() reads.
def encode_datetime(value: datetime) -> JSONValue:
    return {"$datetime": with_zone(value, datetime.isoformat)}


def decode_datetime(content: JSONValue) -> datetime:
    return from_zone(content, datetime.fromisoformat)


def encode_time(value: time) -> JSONValue:
    return {"$time": with_zone(value, time.isoformat)}


def decode_time(content: JSONValue) -> time:
    return from_zone(content, time.fromisoformat)


def with_zone(value: Moment, write: Callable[[Moment], str]) -> JSONValue:
    local = write(value.replace(tzinfo=None))
    if isinstance(value.tzinfo, ZoneInfo) and value.tzinfo.key:
        return [local, value.tzinfo.key, value.fold]
    offset = value.utcoffset()
    if value.tzinfo is not None and offset is None:
        kind = type(value).__name__
        raise ValueProblem(f"a {kind} whose tzinfo has no offset cannot be stored; pass one with a ZoneInfo")
    # ISO has no fold, and fromisoformat() takes an offset of less than a second for UTC.
    if value.fold or (offset and abs(offset) < timedelta(seconds=1)):
        return [local, None if offset is None else offset.total_seconds(), value.fold]
    return write(value)


def from_zone(content: JSONValue, read: Callable[[str], Moment]) -> Moment:
    match content:
        case str(written):
            return read(written)
        case [str(local), str(zone), int(fold)]:
            return read(local).replace(tzinfo=ZoneInfo(zone), fold=fold)
        case [str(local), int(offset) | float(offset), int(fold)]:
            return read(local).replace(tzinfo=timezone(timedelta(seconds=offset)), fold=fold)
        case [str(local), None, int(fold)]:
            return read(local).replace(fold=fold)
        case _:
            raise malformed(content)


def encode_date(value: date) -> JSONValue:
    return {"$date": date.isoformat(value)}


def decode_date(content: JSONValue) -> date:
    return date.fromisoformat(text(content))


def encode_timedelta(value: timedelta) -> JSONValue:
    return {"$timedelta": [value.days, value.seconds, value.microseconds]}


def decode_timedelta(content: JSONValue) -> timedelta:
    match content:
        case [int(days), int(seconds), int(microseconds)]:
            return timedelta(days, seconds, microseconds)
        case _:
            raise malformed(content)
