"""Compare stored values as Python compares the values that they stand for, and by their types too.

``1`` is not ``True``, and ``Decimal(1)`` is not ``1``; but ``Decimal("1.10")`` is ``Decimal("1.1")``, two times are
equal that are the same instant, and the order of a set or a dict says nothing. NaN is NaN here. Nothing of the
project's is imported, constructed or read for it: members of enums are compared by their names, dataclasses by their
fields, and model instances by their primary keys and databases.
"""

import json
from collections.abc import Callable, Hashable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

from django_scheduler.values import scalars
from django_scheduler.values.scalars import JSONValue

#: Where a value lies within another one: names of members, and indexes.
Path: TypeAlias = tuple[str | int, ...]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Text that is longer is not looked for in SQL.
LONGEST_TEXT = 200


def comparable(stored: JSONValue) -> Hashable:
    """Return what is the same for all stored values, as JSON, that are equal and of the same type::

    >>> comparable({"$decimal": "1.10"}) == comparable({"$decimal": "1.1"}), comparable(1) == comparable(True)
    (True, False)
    """
    if isinstance(stored, list):
        return list, tuple(map(comparable, stored))
    if isinstance(stored, dict):
        if len(stored) == 1:
            [(tag, content)] = stored.items()
            if tag.startswith("$"):
                return _of_tag(tag, content)
        return dict, frozenset((comparable(key), comparable(item)) for key, item in stored.items())
    return type(stored), stored


#: The tags of what is stored in any order.
_WITHOUT_ORDER = frozenset({"$set", "$frozenset", "$dict"})


def in_one_order(stored: JSONValue) -> JSONValue:
    """Return the same JSON in one order: another process may store an equal set or dict in another one::

    >>> in_one_order({"b": 2, "a": {"$set": [2, 1]}})
    {'a': {'$set': [1, 2]}, 'b': 2}
    """
    if isinstance(stored, list):
        return [in_one_order(each) for each in stored]
    if not isinstance(stored, dict):
        return stored
    ordered = {name: in_one_order(each) for name, each in sorted(stored.items())}
    for tag, content in ordered.items():
        if tag in _WITHOUT_ORDER and isinstance(content, list):
            content.sort(key=json.dumps)
    return ordered


def _of_tag(tag: str, content: JSONValue) -> Hashable:
    if compare := _BY_TAG.get(tag):
        try:
            return compare(content)
        except Exception:  # by another version, or by hand: it equals what is stored in the same words
            return tag, comparable(content)
    return tag, comparable(content)


def _float(content: JSONValue) -> Hashable:
    value = float(scalars.text(content))
    return float, ("nan" if value != value else value)


def _decimal(content: JSONValue) -> Hashable:
    value = Decimal(scalars.text(content))
    return Decimal, (str(value) if value.is_nan() else value)


def _datetime(content: JSONValue) -> Hashable:
    value = scalars.decode_datetime(content)
    return "$datetime", (value.replace(tzinfo=None) if value.utcoffset() is None else value - _EPOCH)


def _set(content: JSONValue) -> frozenset[Hashable]:
    return frozenset(map(comparable, scalars.elements_of(content)))


def _pairs(content: JSONValue) -> Iterator[Hashable]:
    for pair in scalars.elements_of(content):
        key, item = scalars.elements_of(pair)
        yield comparable(key), comparable(item)


#: What can be stored in several ways that are equal. The rest is compared as it is stored.
_BY_TAG: dict[str, Callable[[JSONValue], Hashable]] = {
    "$int": lambda content: (int, int(scalars.text(content), base=16)),
    "$float": _float,
    "$str": lambda content: (str, scalars.unescaped(scalars.text(content))),
    "$uuid": lambda content: (UUID, UUID(scalars.text(content))),
    "$decimal": _decimal,
    "$datetime": _datetime,
    "$time": lambda content: ("$time", scalars.decode_time(content)),
    "$set": lambda content: ("$set", _set(content)),
    "$frozenset": lambda content: ("$frozenset", _set(content)),
    "$dict": lambda content: (dict, frozenset(_pairs(content))),
}


def findable(stored: JSONValue) -> tuple[Path, int | str] | None:
    """Return a plain value that all equal ones have in the same place, and where; ``None`` where there may be none.

    Every database finds it there by its JSON functions, although it may find others too.
    """
    match stored:
        case bool():
            return None
        case int():
            return (), stored
        case str() if len(stored) <= LONGEST_TEXT and stored.isascii() and stored.isprintable():
            return ((), stored) if '"' not in stored and "\\" not in stored else None
        case {"$uuid": str(text), **others} if not others:
            return ("$uuid",), text
        case {"$date": str(text), **others} if not others:
            return ("$date",), text
        case {"$model": [str(), key, str()], **others} if not others and (found := findable(key)):
            path, value = found
            return ("$model", 1, *path), value
    return None
