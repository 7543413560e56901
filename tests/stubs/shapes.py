"""Types that functions take, in a module that imports some of them for type checkers only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Generic, NewType, NotRequired, Required, TypedDict, TypeVar, Unpack

if TYPE_CHECKING:
    from decimal import Decimal

    from nowhere import Nothing  # type: ignore[import-not-found]

    import tests.models
    from tests import models as our_models

T = TypeVar("T")
OrderId = NewType("OrderId", int)


class Size(Enum):
    SMALL = 1


class Parcel(TypedDict):
    size: Size


class Marks(TypedDict, total=False):
    size: Required[Size]
    note: str


class Options(Marks):
    weight: int
    color: NotRequired[str]


class Unknown(TypedDict):
    amount: Decimal


@dataclass
class Box(Generic[T]):
    content: T


class Depot:
    class Shelf: ...


def take(
    amount: Decimal,
    entry: our_models.Entry | None,
    other: tests.models.Entry,
    nothing: Nothing,
    misspelled: Decimel,  # type: ignore[name-defined]  # noqa: F821
    failing: list[1 / 0],  # type: ignore[valid-type]
    plain,
) -> OrderId:
    return OrderId(int(amount))


def take_options(**options: Unpack[Options]) -> None: ...


def take_unknown(**options: Unpack[Unknown]) -> None: ...
