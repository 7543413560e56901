"""Say why a value cannot be stored or restored, and show values in short."""

import reprlib
from collections import deque
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from datetime import time, timedelta
from decimal import Decimal
from functools import partial
from io import IOBase
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any
from uuid import UUID

from django.core.files import File
from django.db.models import Model, QuerySet
from django.db.models.manager import BaseManager
from django.db.models.query import RawQuerySet
from django.utils.functional import LazyObject, Promise, empty

from django_scheduler.errors import InvalidArguments

LONGEST = 1000


def short_repr(value: object) -> str:
    """Return a ``repr`` of at most 1,000 characters; never raise.

    QuerySets and model instances, also lazy ones and those within lists and dicts, are named without a query. One that
    fails would break the function's transaction, and undo everything that the function did.
    """
    try:
        text = str.__str__(_ShortRepr().repr(value))  # a str, and not a subclass whose methods raise
    except BaseException:  # a value's own methods may raise anything, such as SystemExit
        text = f"<{str.__str__(vars(type)['__name__'].__get__(type(value)))} whose repr raises>"
    # Neither half of a surrogate pair nor NUL: no database would take them.
    text = text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    return text[:LONGEST]


class _ShortRepr(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxlong = self.maxother = LONGEST
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = 50

    def repr_instance(self, x: Any, level: int) -> str:
        if issubclass(type(x), LazyObject):  # as request.user is, whose own repr would ask the database
            wrapped = x.__dict__["_wrapped"]
            return f"<{type(x).__name__}>" if wrapped is empty else self.repr1(wrapped, level)
        if isinstance(x, Model):
            return f"<{x._meta.label} {x.pk}>"
        if isinstance(x, QuerySet):
            return f"<QuerySet of {x.model._meta.label}>"
        return super().repr_instance(x, level)


class ValueProblem(InvalidArguments):
    """Says why a value cannot be stored or restored: the ``reason``, and the ``path`` to it, such as ``[3].price``.

    It is raised where the value is, and what contains the value puts its own step in front of the path. So
    nothing is spent on paths as long as all goes well.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = ""

    def within(self, step: str) -> None:
        """Put a step in front of the path."""
        self.path = step + self.path

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


def malformed(content: object) -> ValueProblem:
    """Return the problem that what is stored does not have the form that its tag promises."""
    return ValueProblem(f"what is stored is malformed: {reprlib.repr(content)}")


# The first that fits. Where the name is None, the value's own type is named.
_REFUSALS: list[tuple[type | tuple[type, ...], str | None, str]] = [
    (type, "a class", "pass its name"),
    ((FunctionType, BuiltinFunctionType, MethodType, partial), "a function", "pass its name"),
    ((QuerySet, RawQuerySet, BaseManager), None, "pass a list of primary keys"),
    (Promise, "a lazy translation", "pass str(value)"),
    ((File, IOBase), None, "pass its path, or its content as bytes"),
    (PurePath, None, "pass str(value)"),
    ((bytearray, memoryview), None, "pass bytes(value)"),
    ((range, deque, KeysView, ValuesView, ItemsView, Iterator), None, "pass list(value)"),
    # Subclasses of what can be stored. str(value) of a SafeString is that same SafeString.
    (str, None, 'pass "" + value, which is a plain str'),
    *(
        (plain, None, f"pass {plain.__name__}(value)")
        for plain in (int, float, bytes, tuple, list, dict, set, frozenset, Decimal)
    ),
    (UUID, None, "pass UUID(str(value))"),
    ((time, timedelta), None, "pass a plain time or timedelta"),
    (object, None, "pass what it can be found or made from, such as a primary key or a dataclass"),
]


def refusal(value: object) -> ValueProblem:
    """Return the problem that no such value can be stored: what it is, and what to pass instead."""
    for kinds, name, advice in _REFUSALS:
        if isinstance(value, kinds):
            return ValueProblem(f"{name or _with_article(value)} cannot be stored; {advice}")
    raise AssertionError("everything is an object")


def _with_article(value: object) -> str:
    name = value.__class__.__name__
    return f"{'an' if name[0] in 'AEIOaeio' else 'a'} {name}"
