"""Calls that are right: functions, references and name strings are typed alike."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, assert_type

from orders.functions import archive, create, echo, report_order, ship, tag, tell
from orders.shipping import Carrier

from django_scheduler import Action, Mutation, ScheduledFunctionId, api, crons, ctx, internal

if TYPE_CHECKING:
    from django_scheduler_functions import orders__archive__arguments

scheduler = ctx.scheduler
tomorrow = datetime(2030, 1, 1, tzinfo=UTC)

scheduler.run_after(0, internal.orders.archive, 1)
scheduler.run_after(timedelta(days=1), internal.orders.archive, order_id=1)
scheduler.run_after(0, internal.orders.put_away, order_id=1)
scheduler.run_after(0, "orders:archive", 1)
scheduler.run_after(0, "orders:put_away", order_id=1)
scheduler.run_at(tomorrow, api.orders.create, items=["a"], paid=True)
scheduler.run_at(tomorrow, "orders:create", items=["a"])
scheduler.run_after(0, internal.orders.ship, order_id=1, carrier=Carrier.BIKE, to={"street": "Elm"})
scheduler.run_after(0, "orders:ship", order_id=1, carrier=Carrier.BIKE, to={"street": "Elm"})
scheduler.run_after(0, internal.orders.tag, 1, color="red")
scheduler.run_after(0, "orders:tag", 1, color="red")
scheduler.run_after(0, internal.orders.pack_small, order_id=1)
assert_type(scheduler.run_after(0, api.orders.rate, "EUR"), ScheduledFunctionId)

assert_type(ctx.run_mutation(api.orders.create, items=["a"]), int)
assert_type(ctx.run_mutation("orders:create", items=["a"]), int)
assert_type(ctx.run_action(api.orders.rate, "EUR"), float)
assert_type(ctx.run_action("orders:rate", currency="EUR"), float)
assert_type(ctx.run_action(internal.orders.ship, order_id=1, carrier=Carrier.BIKE), str)

scheduler.run_after_many(0, archive, [{"order_id": 1}, {"order_id": 2}])
scheduler.run_after_many(0, internal.orders.archive, ({"order_id": number} for number in range(3)))
scheduler.run_after_many(0, "orders:archive", [{"order_id": number} for number in range(3)])
scheduler.run_at_many(tomorrow, create, [{"items": ["a"]}, {"items": [], "paid": True}])
scheduler.run_at_many(tomorrow, ship, [{"order_id": 1, "carrier": Carrier.BIKE}])
scheduler.run_after_many(0, tag, [{"order_id": 1, "color": "red"}])
scheduler.run_after_many(0, archive, [])


def archive_all(numbers: Iterable[int]) -> None:
    items: list[orders__archive__arguments] = [{"order_id": number} for number in numbers]
    scheduler.run_after_many(0, archive, items)


scheduler.options(on_complete=internal.orders.report)
scheduler.options(on_complete=tell, on_failure="orders:report")
scheduler.options(on_complete=(report_order, {"order_id": 7}))
scheduler.options(on_complete=(internal.orders.report_order, {"order_id": 7}))
scheduler.options(on_failure=("orders:report_order", {"order_id": 7}))
scheduler.options(on_failure=("orders:report", {}))
scheduler.batch(on_complete=internal.orders.close_batch)
scheduler.batch(on_complete="orders:close_batch")

crons.register("archive 1", crons.Daily(hour=7, timezone="UTC"), internal.orders.archive, order_id=1)
crons.register("archive 2", crons.Daily(hour=7, timezone="UTC"), "orders:archive", 1)
ctx.crons.register("archive 3", crons.Interval(minutes=1), internal.orders.archive, 1)
ctx.crons.update("archive 3", function="orders:archive")

scheduler.cancel_all("orders:archive", args={"order_id": 7})
scheduler.cancel_all(ship, args={"carrier": Carrier.BIKE}, start=tomorrow)
scheduler.cancel_all(internal.orders.archive)
scheduler.cancel_all(args={"order_id": 7, "anything": None})
assert_type(scheduler.cancel_all(everything=True), int)


P = ParamSpec("P")
R = TypeVar("R")


def soon(function: Mutation[P, R] | Action[P, R], /, *args: P.args, **kwargs: P.kwargs) -> None:
    """Wrap what is typed by its function: the wrapper is typed by it, too."""
    ctx.scheduler.run_after(1_000, function, *args, **kwargs)


def at_once(function: Mutation[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    return ctx.run_mutation(function, *args, **kwargs)


soon(archive, order_id=1)
soon(ship, order_id=1, carrier=Carrier.BIKE)
assert_type(at_once(create, items=["a"]), int)


async def from_async_code() -> None:
    await scheduler.arun_after(0, internal.orders.archive, 1)
    await scheduler.arun_at(tomorrow, "orders:archive", 1)
    await scheduler.arun_after_many(0, "orders:archive", [{"order_id": 1}])
    assert_type(await ctx.arun_mutation(api.orders.create, items=["a"]), int)
    assert_type(await ctx.arun_mutation("orders:create", items=["a"]), int)
    assert_type(await ctx.arun_action(api.orders.rate, "EUR"), float)
    assert_type(await ctx.arun_action("orders:rate", "EUR"), float)
    await ctx.crons.aregister("archive 4", crons.Interval(minutes=1), "orders:archive", 1)


# Right, and rejected all the same, of which docs/typing.md tells.
scheduler.run_after(0, echo, value=1)  # type: ignore[call-overload]
scheduler.run_after(0, internal.orders.echo, value=1)
scheduler.run_after_many(0, archive, [dict(order_id=1)])  # pyright: ignore[reportArgumentType, reportCallIssue]  # noqa: C408
scheduler.run_after_many(0, archive, [{"order_id": 1}] * 3)  # pyright: ignore[reportArgumentType, reportCallIssue]


def in_bulk(function: Mutation[..., Any] | Action[..., Any]) -> None:
    scheduler.run_after_many(0, function, [{"order_id": 1}])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    scheduler.run_after(0, function, order_id=1)
