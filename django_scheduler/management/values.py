"""Read arguments of functions from the command line: ``name=value``, as the annotation of the parameter says.

=========================================  ==================================================================
annotation                                 what is written
=========================================  ==================================================================
``str``                                    the text as it is
``int``, ``float``, ``Decimal``, ``UUID``  as Python writes it
``bool``                                   ``true``, ``yes``, ``on``, ``1``, or ``false``, ``no``, ``off``, ``0``
``None``, ``X | None``                     ``null``, or an ``X``
``A | B``                                  the first of them that it can be; ``str`` comes last
``date``, ``time``, ``datetime``           ISO 8601; a naive ``datetime`` is in the current time zone
``timedelta``                              ``7d``, ``1d12h``, ``90s``
``Literal``, an ``Enum``                   one of its values; the name of a member, or its value
a model                                    the primary key of an instance
``list``, ``tuple``, ``set``, ``dict``     JSON, whose elements are read likewise: ``[1, 2]``, ``{"a": "2026-12-01"}``
none, ``Any``, ``object``                  JSON, or else the text as it is
=========================================  ==================================================================
"""

from __future__ import annotations

import json
import typing
from argparse import ArgumentTypeError
from collections import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from inspect import Parameter
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.core.management.base import CommandError
from django.db import router
from django.db.models import Model

from django_scheduler.functions import UNIONS, AnyFunction, annotation_of
from django_scheduler.management.arguments import duration, moment

WORDS = {**dict.fromkeys(("true", "yes", "on", "1"), True), **dict.fromkeys(("false", "no", "off", "0"), False)}


class NotReadable(Exception):
    """Says why text is no value of a type."""


def read_arguments(function: AnyFunction | None, given: Sequence[str], using: str) -> dict[str, object]:
    """Return the arguments that are given as ``name=value``; ``None``: nothing is known of the function.

    ``using``: the database that the function is scheduled in. Instances of models are read from there, if their tables
    may be there.

    Raises ``CommandError``, which names the parameter and what it takes.
    """
    arguments: dict[str, object] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not equals or not name:
            raise CommandError(f"{each!r} is no argument of a function: write name=value.")
        if name in arguments:
            raise CommandError(f"The argument {name} is given twice.")
        arguments[name] = _read_argument(function, name, text, using)
    return arguments


def _read_argument(function: AnyFunction | None, name: str, text: str, using: str) -> object:
    parameter = _parameter(function, name) if function else None
    if function is None or parameter is None:
        return _json_or_text(text)  # what is not known is refused where the arguments are bound
    annotation = _annotation(function, parameter)
    try:
        return Reader(using).read(text, annotation)
    except NotReadable as problem:
        reason = f": {problem}" if str(problem) else ""
        raise CommandError(
            f"{function.name}: {name}={text} cannot be read as {described(annotation)}{reason}."
        ) from None


def _parameter(function: AnyFunction, name: str) -> Parameter | None:
    """Return the parameter that takes an argument of that name: one of that name, or the one with two asterisks."""
    parameters = function.signature.parameters
    if name in parameters and parameters[name].kind is not Parameter.VAR_KEYWORD:
        return parameters[name]
    return next((each for each in parameters.values() if each.kind is Parameter.VAR_KEYWORD), None)


def _annotation(function: AnyFunction, parameter: Parameter) -> Any:
    """Return what the parameter is annotated with. Raises ``CommandError`` if nobody knows."""
    try:
        return annotation_of(function, parameter)
    except Exception as error:
        raise CommandError(
            f"{function.name}: the annotation {parameter.annotation!r} of {parameter.name} cannot be evaluated"
            f" ({error}), so nobody knows how to read {parameter.name}= from the command line."
        ) from error


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads values, as annotations say."""

    #: The database that a function is scheduled in, from which instances of models are read.
    using: str

    def read(self, given: object, annotation: Any) -> object:
        """Return a value of that type, which is given as text or, within a list or a dict, as JSON.

        Raises ``NotReadable``.
        """
        annotation = getattr(annotation, "__supertype__", annotation)  # of a NewType
        annotation = getattr(annotation, "__value__", annotation)  # of an alias that was made with type
        origin = get_origin(annotation)
        if annotation in (Any, object, Parameter.empty) or isinstance(annotation, typing.TypeVar):
            return _json_or_text(given) if isinstance(given, str) else given
        if origin in UNIONS:
            return self._union(given, get_args(annotation))
        if origin is Literal:
            return self._literal(given, get_args(annotation))
        container = origin or (dict if typing.is_typeddict(annotation) else annotation)
        if container in _CONTAINERS:
            return self._container(given, _CONTAINERS[container], get_args(annotation))
        if isinstance(annotation, type) and origin is None:
            return self._scalar(given, annotation)
        if annotation is None:
            return _read_none(given)
        raise NotReadable("such a value cannot be written on the command line")

    def _union(self, given: object, members: Sequence[Any]) -> object:
        # What any text can be comes last, and what 0 and 1 can be comes after the numbers.
        problems: list[NotReadable] = []
        order = {type(None): -1, bool: 1, str: 2}
        for member in sorted(members, key=lambda each: order.get(each, 0) if isinstance(each, type) else 0):
            try:
                return self.read(given, member)
            except NotReadable as problem:
                if member not in (None, type(None)):
                    problems.append(problem)
        raise problems[0] if len(problems) == 1 else NotReadable

    def _literal(self, given: object, values: Sequence[object]) -> object:
        for value in values:
            try:
                if self.read(given, type(value)) == value:
                    return value
            except NotReadable:
                continue
        raise NotReadable(f"it is one of {', '.join(map(str, values))}")

    def _container(self, given: object, make: Callable[[Any], object], types_of_elements: Sequence[Any]) -> object:
        value = _json(given) if isinstance(given, str) else given
        if make is dict:
            if not isinstance(value, dict):
                raise NotReadable("it is no JSON object")
            of_key, of_item = types_of_elements or (str, Any)
            return {self.read(key, of_key): self._element(item, of_item) for key, item in value.items()}
        if not isinstance(value, list):
            raise NotReadable("it is no JSON array")
        if make is tuple and types_of_elements and types_of_elements[-1] is not ...:
            if len(value) != len(types_of_elements):
                raise NotReadable(f"it has {len(value)} elements, and not {len(types_of_elements)}")
            return tuple(map(self._element, value, types_of_elements))
        of_each = types_of_elements[0] if types_of_elements else Any
        return make([self._element(each, of_each) for each in value])

    def _element(self, given: object, annotation: Any) -> object:
        """Read what stands within JSON, which has types: text is text there, also if it looks like a number."""
        is_union = get_origin(annotation) in UNIONS
        if annotation in (Any, object) or (is_union and type(given) in get_args(annotation)):
            return given
        return self.read(given, annotation)

    def _scalar(self, given: object, annotation: type) -> object:
        if annotation is type(None):
            return _read_none(given)
        if isinstance(given, list | dict):
            raise NotReadable("it is a JSON array or object")
        if annotation is str:
            if not isinstance(given, str):
                raise NotReadable(f"{json.dumps(given)} is no text")
            return given
        text = given if isinstance(given, str) else json.dumps(given)
        if annotation is bool:
            if text.lower() not in WORDS:
                raise NotReadable("write true or false")
            return WORDS[text.lower()]
        if issubclass(annotation, Enum):
            return _read_member(text, annotation)
        if issubclass(annotation, Model):
            return self._instance(text, annotation)
        reader = _READERS.get(annotation)
        if reader is None:
            raise NotReadable("such a value cannot be written on the command line")
        try:
            return reader(text)
        except (ValueError, InvalidOperation, ArgumentTypeError):
            raise NotReadable from None

    def _instance(self, text: str, model: type[Model]) -> Model:
        # A function works in the database that it is scheduled in. Where routers keep the model elsewhere, it is there.
        there = self.using if router.allow_migrate_model(self.using, model) else router.db_for_read(model)
        try:
            return model._base_manager.using(there).get(pk=text)
        except ObjectDoesNotExist:
            raise NotReadable(f"no row of the database {there!r} has this primary key") from None
        except (ValueError, ValidationError, OverflowError):
            raise NotReadable("it is no primary key") from None


def described(annotation: Any) -> str:
    """Return how a type is written."""
    if get_origin(annotation) in UNIONS:
        return " | ".join(map(described, get_args(annotation)))
    if isinstance(annotation, type) and not get_args(annotation):
        return "None" if annotation is type(None) else annotation.__qualname__
    return str(annotation).replace("typing.", "")


def _json_or_text(text: str) -> object:
    try:
        return _json(text)
    except NotReadable:
        return text


def _json(text: str) -> object:
    def refuse(constant: str) -> None:
        raise NotReadable(f"{constant} is no JSON")

    try:
        value: object = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise NotReadable(f"it is no JSON ({error})") from None
    return value


#: What is made of a JSON array or object that is to be one of these.
_CONTAINERS: dict[object, Callable[[Any], object]] = {
    **dict.fromkeys((list, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable), list),
    **dict.fromkeys((set, abc.Set, abc.MutableSet), set),
    **dict.fromkeys((dict, abc.Mapping, abc.MutableMapping), dict),
    frozenset: frozenset,
    tuple: tuple,
}


def _read_none(given: object) -> object:
    if given is None or given == "null":
        return None
    raise NotReadable("write null")


_READERS: dict[type, Callable[[str], object]] = {
    int: int,
    float: float,
    Decimal: Decimal,
    UUID: UUID,
    datetime: moment,
    date: date.fromisoformat,
    time: time.fromisoformat,
    timedelta: duration,
}


def _read_member(text: str, enum: type[Enum]) -> Enum:
    if text in enum.__members__:
        return enum.__members__[text]
    for member in enum:
        if str(member.value) == text:
            return member
    raise NotReadable(f"it is one of {', '.join(enum.__members__)}")
