"""Values that hold no others are encoded and decoded: numbers, text, bytes, UUIDs, dates, times and durations.

What every database's JSON keeps as it is stays plain. The rest is written as text, under a tag.

A ``ZoneInfo`` is kept by its key, with local time and fold: an offset is not enough for a time that the clocks skip.
Any other tzinfo becomes its offset.
"""

import json
import re
from base64 import b64encode
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import TypeAlias, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from django_scheduler.values.problem import ValueProblem, malformed

Moment = TypeVar("Moment", datetime, time)

JSONValue: TypeAlias = "bool | int | float | str | list[JSONValue] | dict[str, JSONValue] | None"

#: Returns JSON as text that every database's JSON column takes: ASCII, compact, without NaN.
# One encoder for all: json.dumps() would make a new one for each call with these options.
to_json: Callable[[JSONValue], str] = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, check_circular=False, separators=(",", ":")
).encode

# PostgreSQL's jsonb has no NUL, and no database takes half of a surrogate pair.
UNSTORABLE_CHARACTER = re.compile("[\0\ud800-\udfff]")
PLAIN_FLOAT = re.compile(r"-?\d+\.\d+")


def unchanged(value: JSONValue) -> JSONValue:
    return value


def encode_int(value: int) -> JSONValue:
    # MySQL makes a double of what does not fit into 64 bits.
    if -(2**63) <= value < 2**63:
        return value
    # Hexadecimal, because Python refuses to read or write more than 4,300 decimal digits.
    return {"$int": hex(value)}


def encode_float(value: float) -> JSONValue:
    written = repr(value)
    # jsonb keeps numbers as decimals: 1e+300 would come back as an int, and -0.0 without its sign. MySQL's
    # parser is off by one in the last place beyond 15 digits, which is what 16 characters can hold.
    if len(written) <= 16 and PLAIN_FLOAT.fullmatch(written) and written != "-0.0":
        return value
    return {"$float": written}


def is_plain_text(value: str) -> bool:
    """Return whether every database stores this text as it is."""
    if value.isascii():
        return "\0" not in value
    return not UNSTORABLE_CHARACTER.search(value)


def require_plain_text(**texts: object) -> None:
    """Raise ``TypeError`` or ``ValueError``, with its name, for one that is no text, or that no database takes."""
    for name, text in texts.items():
        if not isinstance(text, str):
            raise TypeError(f"{name} must be a str, not {type(text).__name__}.")
        if not is_plain_text(text):
            raise ValueError(f"{name}={text!a} has NUL or half of a surrogate pair, which no database takes.")


def encode_str(value: str) -> JSONValue:
    return value if is_plain_text(value) else escaped(value)


def escaped(value: str) -> JSONValue:
    """Return text as it is stored where it would not survive, or would be taken for something else."""
    # Not JSON's own escapes: they would join two lone surrogates that happen to form a pair.
    return {"$str": value.encode("unicode_escape").decode("ascii")}


def unescaped(text: str) -> str:
    """Return the text that ``escaped`` was given."""
    return text.encode("ascii").decode("unicode_escape")


def encode_bytes(value: bytes) -> JSONValue:
    return {"$bytes": b64encode(value).decode("ascii")}


def encode_decimal(value: Decimal) -> JSONValue:
    return {"$decimal": str(value)}


def encode_uuid(value: UUID) -> JSONValue:
    return {"$uuid": str(value)}


# datetime.isoformat(value), not value.isoformat(): a subclass may write more than fromisoformat() reads.
def encode_datetime(value: datetime) -> JSONValue:
    return {"$datetime": _with_zone(value, datetime.isoformat)}


def decode_datetime(content: JSONValue) -> datetime:
    return _from_zone(content, datetime.fromisoformat)


def encode_time(value: time) -> JSONValue:
    return {"$time": _with_zone(value, time.isoformat)}


def decode_time(content: JSONValue) -> time:
    return _from_zone(content, time.fromisoformat)


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
    raise malformed(content)


def _with_zone(value: Moment, write: Callable[[Moment], str]) -> JSONValue:
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


def _from_zone(content: JSONValue, read: Callable[[str], Moment]) -> Moment:
    match content:
        case str(written):
            return read(written)
        case [str(local), str(zone), int(fold)]:
            return read(local).replace(tzinfo=ZoneInfo(zone), fold=fold)
        case [str(local), int(offset) | float(offset), int(fold)]:
            return read(local).replace(tzinfo=timezone(timedelta(seconds=offset)), fold=fold)
        case [str(local), None, int(fold)]:
            return read(local).replace(fold=fold)
    raise malformed(content)


def text(content: JSONValue) -> str:
    """Return what is stored under a tag whose content is text.

    Raises ``ValueProblem`` if it is anything else.
    """
    if not isinstance(content, str):
        raise malformed(content)
    return content


def elements_of(content: JSONValue) -> list[JSONValue]:
    """Return what is stored under a tag, which has to be a list."""
    if not isinstance(content, list):
        raise malformed(content)
    return content
