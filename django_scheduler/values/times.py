"""Datetimes, dates, times of day and durations.

A ``ZoneInfo`` is kept by its key, with local time and fold: no offset would do for a time which the clocks
skip. Any other tzinfo becomes its offset.
"""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
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
    if isinstance(value.tzinfo, ZoneInfo) and value.tzinfo.key:
        return [write(value.replace(tzinfo=None)), value.tzinfo.key, value.fold]
    if value.tzinfo and value.utcoffset() is None:
        kind = type(value).__name__
        raise ValueProblem(f"a {kind} whose tzinfo has no offset cannot be stored; pass one with a ZoneInfo")
    return [write(value), None, 1] if value.fold else write(value)


def from_zone(content: JSONValue, read: Callable[[str], Moment]) -> Moment:
    match content:
        case str(written):
            return read(written)
        case [str(written), None, int(fold)]:
            return read(written).replace(fold=fold)
        case [str(written), str(zone), int(fold)]:
            return read(written).replace(tzinfo=ZoneInfo(zone), fold=fold)
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
