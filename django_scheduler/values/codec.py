"""Encode any value, and decode it: tables say which function does so for which type and tag."""

from base64 import b64decode
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from types import NoneType
from typing import Any, TypeAlias
from uuid import UUID

from django.db import Error as DatabaseError
from django.db.models import Model

from django_scheduler.errors import SchedulerError
from django_scheduler.values import containers, instances, scalars, unrestored
from django_scheduler.values.containers import Decode, Encode, convert_items, convert_members
from django_scheduler.values.problem import ValueProblem, refusal
from django_scheduler.values.scalars import JSONValue
from django_scheduler.values.unrestored import Unrestored, encode_unrestored

# How many arrays and objects may lie around a value. The value's own notation adds at most three to that;
# MariaDB, the strictest, takes 31 (MySQL 100, SQLite 1,000, PostgreSQL some 13,000).
MAXIMUM_DEPTH = 27

# By exact type: a subclass would come back as its base, so it is refused.
LEAVES: dict[type, Callable[[Any], JSONValue]] = {
    NoneType: scalars.unchanged,
    bool: scalars.unchanged,
    int: scalars.encode_int,
    float: scalars.encode_float,
    str: scalars.encode_str,
    bytes: scalars.encode_bytes,
    Decimal: scalars.encode_decimal,
    UUID: scalars.encode_uuid,
    datetime: scalars.encode_datetime,
    date: scalars.encode_date,
    time: scalars.encode_time,
    timedelta: scalars.encode_timedelta,
}
CONTAINERS: dict[type, Callable[[Any, int, Encode], JSONValue]] = {
    list: containers.encode_list,
    tuple: partial(containers.encode_elements, "$tuple"),
    set: partial(containers.encode_elements, "$set"),
    frozenset: partial(containers.encode_elements, "$frozenset"),
    dict: containers.encode_dict,
}
PLAIN_TYPES = (*LEAVES, *CONTAINERS)

TEXT_DECODERS: dict[str, Callable[[str], object]] = {
    "$int": partial(int, base=16),
    "$float": float,
    "$str": scalars.unescaped,
    "$bytes": partial(b64decode, validate=True),
    "$decimal": Decimal,
    "$uuid": UUID,
    "$repr": str,
}
LEAF_DECODERS: dict[str, Callable[[JSONValue], object]] = {
    "$datetime": scalars.decode_datetime,
    "$date": scalars.decode_date,
    "$time": scalars.decode_time,
    "$timedelta": scalars.decode_timedelta,
}
ContainerDecoders: TypeAlias = dict[str, Callable[[JSONValue, Decode], object]]
CONTAINER_DECODERS: ContainerDecoders = {
    "$tuple": partial(containers.decode_elements, tuple),
    "$set": partial(containers.decode_elements, set),
    "$frozenset": partial(containers.decode_elements, frozenset),
    "$dict": containers.decode_dict,
}
RESTORING: ContainerDecoders = CONTAINER_DECODERS | {
    "$enum": instances.decode_enum,
    "$dataclass": instances.decode_dataclass,
    "$model": instances.decode_model,
}
#: Where no other code will: what may be gone is, if it cannot be restored by this one.
RESTORING_FINALLY: ContainerDecoders = RESTORING | {
    "$dataclass": partial(instances.decode_dataclass, is_final=True),
}
CHECKING: ContainerDecoders = CONTAINER_DECODERS | {
    "$enum": unrestored.check_enum,
    "$dataclass": unrestored.check_dataclass,
    "$model": unrestored.check_model,
}


def encode(value: object, depth: int = 0) -> JSONValue:
    """Return a value as plain JSON, from which ``decode`` restores it.

    ``depth`` is how many arrays and objects the result will lie in. Raises ``InvalidArguments`` if the value
    cannot be stored::

        >>> encode([1, Decimal("1.10")])
        [1, {'$decimal': '1.10'}]
    """
    if depth > MAXIMUM_DEPTH:
        raise ValueProblem(
            f"nested too deeply: more than {MAXIMUM_DEPTH} levels of JSON, of which a list or dict takes one,"
            " a tuple or set two, a dataclass three"
        )
    if leaf := LEAVES.get(type(value)):
        return leaf(value)
    if container := CONTAINERS.get(type(value)):
        return container(value, depth, encode)
    return _encode_by_kind(value, depth)


def _encode_by_kind(value: object, depth: int) -> JSONValue:
    match value:
        case Enum():
            return instances.encode_enum(value)
        case Model():
            return instances.encode_model(value, depth, encode)
        case Unrestored():
            return encode_unrestored(value, depth, encode)
        # The only types whose subclasses come back as their base: freezegun makes one of every datetime.
        case datetime():
            return scalars.encode_datetime(value)
        case date():
            return scalars.encode_date(value)
        case _ if instances.is_dataclass_instance(value) and not isinstance(value, PLAIN_TYPES):
            return instances.encode_dataclass(value, depth, encode)
        case _:
            raise refusal(value)


def decode(value: JSONValue, *, is_final: bool = False) -> object:
    """Return the value that ``encode`` was given.

    ``is_final``: no other code will restore it, so a field that may be gone (``MAY_BE_GONE``) need not be restored.
    Raises ``InvalidArguments`` if it cannot be restored any more: a class, an enum's member or a model's row
    is gone. An error of the database while a row is read is raised as it is::

        >>> decode([1, {"$decimal": "1.10"}])
        [1, Decimal('1.10')]
    """
    return _decode(RESTORING_FINALLY if is_final else RESTORING, value)


def check(value: JSONValue) -> object:
    """Return the value that ``encode`` was given, but nothing of the project's in it is restored: see ``Unrestored``.

    No module is imported, no class is called, and no row is read. Raises ``InvalidArguments`` if it cannot be
    restored, as far as that can be seen like this.
    """
    return _decode(CHECKING, value)


def _decode(decoders: ContainerDecoders, value: JSONValue) -> object:
    try:
        return _decode_any(decoders, value)
    except RecursionError as error:
        raise ValueProblem("nested too deeply") from error


def _decode_any(decoders: ContainerDecoders, value: JSONValue) -> object:
    if isinstance(value, list):
        return convert_items(partial(_decode_any, decoders), value)
    if isinstance(value, dict):
        if len(value) == 1:
            [(tag, content)] = value.items()
            if tag.startswith("$"):
                return _decode_tagged(decoders, tag, content)
        return convert_members(partial(_decode_any, decoders), value)
    return value


def _decode_tagged(decoders: ContainerDecoders, tag: str, content: JSONValue) -> object:
    try:
        if from_text := TEXT_DECODERS.get(tag):
            return from_text(scalars.text(content))
        if leaf := LEAF_DECODERS.get(tag):
            return leaf(content)
        if container := decoders.get(tag):
            return container(content, partial(_decode_any, decoders))
    except (SchedulerError, DatabaseError, RecursionError):
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueProblem(f"{tag} cannot be restored: {reason:.500}") from error
    raise ValueProblem(f"{tag[:100]} is not known here; was it stored by a newer version?")
