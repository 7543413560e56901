"""What to say of a value that cannot be stored: what it is, and what to pass instead."""

from collections import deque
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from datetime import time, timedelta
from decimal import Decimal
from functools import partial
from io import IOBase
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodType
from uuid import UUID

from django.core.files import File
from django.db.models import QuerySet
from django.db.models.manager import BaseManager
from django.db.models.query import RawQuerySet
from django.utils.functional import Promise

from django_scheduler.values.problem import ValueProblem

# The first that fits. Where the name is None, the value's own type is named.
REFUSALS: list[tuple[type | tuple[type, ...], str | None, str]] = [
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
    for kinds, name, advice in REFUSALS:
        if isinstance(value, kinds):
            return ValueProblem(f"{name or with_article(value)} cannot be stored; {advice}")
    raise AssertionError("everything is an object")


def with_article(value: object) -> str:
    name = value.__class__.__name__
    return f"{'an' if name[0] in 'AEIOaeio' else 'a'} {name}"
