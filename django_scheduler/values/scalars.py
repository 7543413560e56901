"""Numbers, text, bytes and UUIDs. The tags here are for what some database's JSON would change or reject."""

import re
from base64 import b64decode, b64encode
from decimal import Decimal
from uuid import UUID

from django_scheduler.values.json_text import JSONValue
from django_scheduler.values.problem import malformed

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


def decode_int(content: JSONValue) -> int:
    return int(text(content), 16)


def encode_float(value: float) -> JSONValue:
    written = repr(value)
    # jsonb keeps numbers as decimals: 1e+300 would come back as an int, and -0.0 without its sign. MySQL's
    # parser is off by one in the last place beyond 15 digits, which is what 16 characters can hold.
    if len(written) <= 16 and PLAIN_FLOAT.fullmatch(written) and written != "-0.0":
        return value
    return {"$float": written}


def decode_float(content: JSONValue) -> float:
    return float(text(content))


def is_plain_text(value: str) -> bool:
    if value.isascii():
        return "\0" not in value
    return not UNSTORABLE_CHARACTER.search(value)


def encode_str(value: str) -> JSONValue:
    return value if is_plain_text(value) else escaped(value)


def escaped(value: str) -> JSONValue:
    # Not JSON's own escapes: they would join two lone surrogates that happen to form a pair.
    return {"$str": value.encode("unicode_escape").decode("ascii")}


def decode_str(content: JSONValue) -> str:
    return text(content).encode("ascii").decode("unicode_escape")


def encode_bytes(value: bytes) -> JSONValue:
    return {"$bytes": b64encode(value).decode("ascii")}


def decode_bytes(content: JSONValue) -> bytes:
    return b64decode(text(content), validate=True)


def encode_decimal(value: Decimal) -> JSONValue:
    return {"$decimal": str(value)}


def decode_decimal(content: JSONValue) -> Decimal:
    return Decimal(text(content))


def encode_uuid(value: UUID) -> JSONValue:
    return {"$uuid": str(value)}


def decode_uuid(content: JSONValue) -> UUID:
    return UUID(text(content))


def text(content: JSONValue) -> str:
    if not isinstance(content, str):
        raise malformed(content)
    return content
