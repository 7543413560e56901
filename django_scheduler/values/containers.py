"""Lists, tuples, sets and dicts, which hold other values, are encoded and decoded.

``encode`` and ``decode`` are handed in and convert what is inside. ``depth`` is how many arrays and objects
lie around a value in its encoded form. What ``convert_...`` converts may raise a ``ValueProblem``; they add where
it was.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from reprlib import repr as shortened
from typing import Protocol, TypeAlias, TypeVar

from django_scheduler.values.problem import ValueProblem
from django_scheduler.values.scalars import JSONValue, elements_of, is_plain_text


class Encode(Protocol):
    def __call__(self, value: object, depth: int) -> JSONValue: ...


Decode: TypeAlias = Callable[[JSONValue], object]

Before = TypeVar("Before")
After = TypeVar("After")

# MySQL keeps the length of a key in two bytes, and a character may take four.
LONGEST_KEY = 65_535 // 4

#: So many elements of a set may have the same hash.
MOST_OF_SAME_HASH = 1_000


def encode_list(value: list[object], depth: int, encode: Encode) -> JSONValue:
    return convert_items(partial(encode, depth=depth + 1), value)


def encode_elements(tag: str, value: Iterable[object], depth: int, encode: Encode) -> JSONValue:
    """Encode a tuple, a set or a frozenset, whose tag it is."""
    elements = list(value)
    if tag != "$tuple":
        _refuse_collisions(elements)
    return {tag: convert_items(partial(encode, depth=depth + 2), elements)}


def decode_elements(make: Callable[[list[object]], object], content: JSONValue, decode: Decode) -> object:
    """Decode what ``encode_elements`` has encoded, and make a tuple, a set or a frozenset of it."""
    elements = convert_items(decode, elements_of(content))
    if make is not tuple:
        _refuse_collisions(elements)
    return make(elements)


def encode_dict(value: dict[object, object], depth: int, encode: Encode) -> JSONValue:
    members = {key: item for key, item in value.items() if type(key) is str and _is_plain_key(key)}
    if len(members) == len(value):
        return convert_members(partial(encode, depth=depth + 1), members)
    _refuse_collisions([*value])
    pairs = _convert_pairs(partial(encode, depth=depth + 3), value.items())
    return {"$dict": [[key, item] for key, item in pairs]}


def decode_dict(content: JSONValue, decode: Decode) -> dict[object, object]:
    pairs = [(key, item) for key, item in map(elements_of, elements_of(content))]
    converted = _convert_pairs(decode, pairs)
    _refuse_collisions([key for key, _ in converted])
    return dict(converted)


def convert_items(convert: Callable[[Before], After], items: Iterable[Before]) -> list[After]:
    converted: list[After] = []
    for index, item in enumerate(items):
        try:
            converted.append(convert(item))
        except ValueProblem as problem:
            problem.within(f"[{index}]")
            raise
    return converted


def convert_members(convert: Callable[[Before], After], members: Mapping[str, Before]) -> dict[str, After]:
    converted: dict[str, After] = {}
    for name, item in members.items():
        try:
            converted[name] = convert(item)
        except ValueProblem as problem:
            problem.within(f".{name}" if name.isidentifier() else f"[{shortened(name)}]")
            raise
    return converted


def _convert_pairs(
    convert: Callable[[Before], After], pairs: Iterable[tuple[Before, Before]]
) -> list[tuple[After, After]]:
    converted: list[tuple[After, After]] = []
    for key, item in pairs:
        try:
            converted.append((convert(key), convert(item)))
        except ValueProblem as problem:
            problem.within(f"[{shortened(key)}]")
            raise
    return converted


def _refuse_collisions(elements: list[object]) -> None:
    """Raise ``ValueProblem`` if a set of these elements would take a time that grows with the square of their number.

    That is so if they have the same hash, which somebody can bring about: Python's hash of a number is no secret.
    """
    if len(elements) > MOST_OF_SAME_HASH:
        ((_hash, number),) = Counter(map(hash, elements)).most_common(1)
        if number > MOST_OF_SAME_HASH:
            raise ValueProblem(f"{number:,} elements have the same hash")


def _is_plain_key(key: str) -> bool:
    return not key.startswith("$") and len(key) <= LONGEST_KEY and is_plain_text(key)
