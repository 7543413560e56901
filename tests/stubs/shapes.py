"""Types that functions take, in a module that imports some of them for type checkers only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Generic, NewType, TypedDict, TypeVar

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
