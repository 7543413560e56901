"""Lists, tuples, sets and dicts: what holds other values.

``encode`` and ``decode`` are handed in and convert what is inside. ``depth`` is how many arrays and objects
lie around a value in its encoded form.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeAlias

from django_scheduler.values.problem import convert_items, convert_members, convert_pairs, malformed
from django_scheduler.values.scalars import JSONValue, is_plain_text


class Encode(Protocol):
    def __call__(self, value: object, depth: int) -> JSONValue: ...


Decode: TypeAlias = Callable[[JSONValue], object]

# MySQL keeps the length of a key in two bytes, and a character may take four.
LONGEST_KEY = 65_535 // 4


def encode_list(value: list[object], depth: int, encode: Encode) -> JSONValue:
    return convert_items(partial(encode, depth=depth + 1), value)


def encode_tuple(value: tuple[object, ...], depth: int, encode: Encode) -> JSONValue:
    return {"$tuple": convert_items(partial(encode, depth=depth + 2), value)}


def decode_tuple(content: JSONValue, decode: Decode) -> tuple[object, ...]:
    return tuple(convert_items(decode, elements(content)))


def encode_set(value: set[object], depth: int, encode: Encode) -> JSONValue:
    return {"$set": convert_items(partial(encode, depth=depth + 2), value)}


def decode_set(content: JSONValue, decode: Decode) -> set[object]:
    return set(convert_items(decode, elements(content)))


def encode_frozenset(value: frozenset[object], depth: int, encode: Encode) -> JSONValue:
    return {"$frozenset": convert_items(partial(encode, depth=depth + 2), value)}


def decode_frozenset(content: JSONValue, decode: Decode) -> frozenset[object]:
    return frozenset(convert_items(decode, elements(content)))


def encode_dict(value: dict[object, object], depth: int, encode: Encode) -> JSONValue:
    members = {key: item for key, item in value.items() if type(key) is str and is_plain_key(key)}
    if len(members) == len(value):
        return convert_members(partial(encode, depth=depth + 1), members)
    pairs = convert_pairs(partial(encode, depth=depth + 3), value.items())
    return {"$dict": [[key, item] for key, item in pairs]}


def decode_dict(content: JSONValue, decode: Decode) -> dict[object, object]:
    pairs = [(key, item) for key, item in map(elements, elements(content))]
    return dict(convert_pairs(decode, pairs))


def is_plain_key(key: str) -> bool:
    return not key.startswith("$") and len(key) <= LONGEST_KEY and is_plain_text(key)


def elements(content: JSONValue) -> list[JSONValue]:
    if not isinstance(content, list):
        raise malformed(content)
    return content
