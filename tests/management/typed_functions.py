"""Functions whose parameters are annotated with all that the command line can be read as, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any, Literal, NewType, Optional, TypedDict
from uuid import UUID

from django_scheduler import mutation
from tests.models import Entry

if TYPE_CHECKING:
    from django_scheduler import Context

    class OnlyForTypeCheckers: ...


OrderId = NewType("OrderId", int)


class Priority(IntEnum):
    LOW = 1
    HIGH = 10


class Color(Enum):
    RED = "r"


class Address(TypedDict):
    street: str


@mutation
def take_typed(
    ctx: Context,
    *,
    text: str = "",
    number: int = 0,
    real: float = 0.0,
    flag: bool = False,
    amount: Decimal = Decimal(0),
    key: UUID | None = None,
    day: date | None = None,
    moment: datetime | None = None,
    clock: time | None = None,
    delay: timedelta = timedelta(0),
    maybe: Optional[int] = None,  # noqa: UP045
    maybe_text: str | None = None,
    number_or_text: int | str = 0,
    flag_or_number: bool | int = 0,
    one_of: Literal["fast", "slow", 3] = "fast",
    priority: Priority = Priority.LOW,
    color: Color = Color.RED,
    entry: Entry | None = None,
    order: OrderId = OrderId(0),
    numbers: list[int] = [],  # noqa: B006
    days: Sequence[date] = (),
    pair: tuple[int, Decimal] = (0, Decimal(0)),
    many: tuple[int, ...] = (),
    names: set[str] = set(),  # noqa: B006
    prices: dict[str, Decimal] = {},  # noqa: B006
    counts: Mapping[int, int] = {},
    mixed: list[int | str | None] = [],  # noqa: B006
    address: Address = {"street": ""},  # noqa: B006
    anything: Any = None,
    bare=None,
    lost: OnlyForTypeCheckers | None = None,
    pattern: bytes = b"",
) -> None: ...


@mutation
def take_others(ctx: Context, /, **others: int) -> None: ...
