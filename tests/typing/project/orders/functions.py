"""Functions of every kind and shape."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from django_scheduler import (
    BatchOutcome,
    Context,
    Outcome,
    action,
    crons,
    ctx,
    internal,
    internal_action,
    internal_mutation,
    mutation,
)
from orders.shipping import Carrier

if TYPE_CHECKING:
    from orders.shipping import Address

T = TypeVar("T")


@mutation
def create(ctx: Context, *, items: list[str], paid: bool = False) -> int:
    ctx.scheduler.run_after(timedelta(days=7), internal.orders.archive, order_id=1)
    return len(items)


@internal_mutation(aliases=("put_away",))
def archive(ctx: Context, order_id: int) -> None: ...


@internal_action
def ship(ctx: Context, *, order_id: int, carrier: Carrier, to: Address | None = None) -> str:
    return ctx.run_mutation("orders:label", order_id=order_id)


@action(name="rate")
async def fetch_rate(ctx: Context, currency: str) -> float:
    return len(currency)


@internal_mutation
def tag(ctx: Context, /, order_id: int, **tags: str) -> None: ...


@internal_mutation
def report(ctx: Context, *, outcome: Outcome) -> None: ...


@internal_mutation
def report_order(ctx: Context, *, outcome: Outcome, order_id: int) -> None: ...


@internal_mutation
def close_batch(ctx: Context, *, outcome: BatchOutcome) -> None: ...


@internal_mutation
def tell(ctx: Context, *, outcome: Outcome | BatchOutcome) -> None: ...


@internal_mutation
def echo(ctx: Context, *, value: T) -> T:
    return value


def _label(ctx: Context, *, order_id: int) -> str:
    return f"order {order_id}"


label = internal_mutation(name="label")(_label)

for size in ("small", "large"):
    internal_mutation(name=f"pack_{size}")(_label)


class Priority(Enum):
    """Is defined beside the functions that take it: the stub imports this module, and this module the package."""

    LOW = 1
    HIGH = 2


@internal_mutation
def rank(ctx: Context, *, order_id: int, priority: Priority) -> None: ...


bulk = ctx.scheduler.options(queue="bulk")
every_night = crons.Daily(hour=3, timezone="UTC")
crons.register("rank", every_night, rank, order_id=1, priority=Priority.LOW)
crons.register("rank by reference", every_night, internal.orders.rank, order_id=1, priority=Priority.LOW)
crons.register("rank by name", every_night, "orders:rank", order_id=1, priority=Priority.LOW)


def rank_all(order_ids: list[int]) -> None:
    bulk.run_after_many(0, rank, [{"order_id": order_id, "priority": Priority.HIGH} for order_id in order_ids])
