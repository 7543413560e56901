"""Calls that are wrong: each mistake is one that both type checkers find, with the stub."""

from datetime import UTC, datetime, timedelta
from typing import ParamSpec, TypeVar

from django.test import TestCase
from orders.functions import archive, close_batch, create, report, report_order, ship
from orders.shipping import Carrier

from django_scheduler import Mutation, api, crons, ctx, internal
from django_scheduler.testing import SchedulerTestMixin

scheduler = ctx.scheduler
tomorrow = datetime(2030, 1, 1, tzinfo=UTC)
daily = crons.Daily(hour=7, timezone="UTC")

# A name that is not there.
scheduler.run_after(0, internal.orders.arhive, order_id=1)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
scheduler.run_after(0, internal.order.archive, order_id=1)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
scheduler.run_after(0, "orders:arhive", order_id=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after(0, "orders.archive", order_id=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after_many(0, "orders:arhive", [{"order_id": 1}])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
ctx.run_mutation("orders:creat", items=["a"])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.cancel_all("orders:arhive")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
crons.register("a", daily, "orders:arhive", order_id=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
ctx.crons.update("a", function="orders:arhive")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
scheduler.options(on_complete="orders:reprot")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]

# The other visibility.
scheduler.run_after(0, internal.orders.create, items=["a"])  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
scheduler.run_after(0, api.orders.archive, order_id=1)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]

# What is no function.
scheduler.run_after(0, internal.orders, order_id=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after(0, internal, order_id=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]

# Arguments through a reference: a wrong name, a wrong type, one missing, one too many.
scheduler.run_after(0, internal.orders.archive, order=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
scheduler.run_after(0, internal.orders.archive, "1")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after(0, internal.orders.archive)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
scheduler.run_after(0, internal.orders.archive, 1, 2)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
scheduler.run_after(0, internal.orders.archive, order_id=1, paid=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
scheduler.run_after(0, internal.orders.ship, order_id=1, carrier="bike")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after(0, internal.orders.ship, order_id=1, carrier=Carrier.BIKE, to={"city": "Rome"})  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_at(tomorrow, api.orders.create, ["a"])  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
scheduler.run_at(tomorrow, api.orders.create, items="a")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]

# The same through a name.
scheduler.run_after(0, "orders:archive", order=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after(0, "orders:archive", "1")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after(0, "orders:archive")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after(0, "orders:archive", 1, 2)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after(0, "orders:archive", order_id=1, paid=True)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after(0, "orders:ship", order_id=1, carrier="bike")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after(0, "orders:put_away", order=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_at(tomorrow, "orders:create", ["a"])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_at(tomorrow, "orders:create", items="a")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]

# When.
scheduler.run_after("0", internal.orders.archive, 1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after(tomorrow, "orders:archive", 1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_at(timedelta(1), internal.orders.archive, 1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_at("tomorrow", "orders:archive", 1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after_many(tomorrow, "orders:archive", [{"order_id": 1}])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]

# The other kind.
ctx.run_mutation(internal.orders.ship, order_id=1, carrier=Carrier.BIKE)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
ctx.run_mutation("orders:ship", order_id=1, carrier=Carrier.BIKE)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
ctx.run_mutation(ship, order_id=1, carrier=Carrier.BIKE)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
ctx.run_action(api.orders.create, items=["a"])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
ctx.run_action("orders:create", items=["a"])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
ctx.run_action(create, items=["a"])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]

# The result.
number: str = ctx.run_mutation(api.orders.create, items=["a"])  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
text: str = ctx.run_mutation("orders:create", items=["a"])  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
rate: int = ctx.run_action("orders:rate", "EUR")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]

# Arguments of many calls: of the function itself, of a reference, of a name.
scheduler.run_after_many(0, archive, [{"order": 1}])  # type: ignore[typeddict-item, typeddict-unknown-key]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after_many(0, archive, [{"order_id": "1"}])  # type: ignore[typeddict-item]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after_many(0, archive, [{}])  # type: ignore[typeddict-item]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after_many(0, archive, [{"order_id": 1, "paid": True}])  # type: ignore[typeddict-unknown-key]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after_many(0, archive, [1, 2])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after_many(0, archive, {"order_id": 1})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after_many(0, create, [{"items": ["a"]}, {"item": ["b"]}])  # type: ignore[arg-type, typeddict-item, typeddict-unknown-key]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_at_many(tomorrow, create, [{"items": ["a"], "paid": "yes"}])  # type: ignore[arg-type, typeddict-item, typeddict-unknown-key]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_at_many(tomorrow, create, ({"items": number} for number in range(3)))  # type: ignore[arg-type, typeddict-item, typeddict-unknown-key]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after_many(0, internal.orders.archive, [{"order": 1}])  # type: ignore[typeddict-item, typeddict-unknown-key]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after_many(0, internal.orders.archive, [{"order_id": "1"}])  # type: ignore[typeddict-item]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after_many(0, "orders:archive", [{"order": 1}])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.run_after_many(0, "orders:archive", [{"order_id": "1"} for _ in range(3)])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]

# Some of the arguments.
scheduler.cancel_all(archive, args={"order": 7})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.cancel_all(archive, args={"order_id": "7"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.cancel_all(internal.orders.archive, args={"order": 7})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.cancel_all("orders:archive", args={"order": 7})  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.cancel_all(ship, args={"carrier": "bike"})  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]

# Callbacks: without outcome, told of the other, with arguments that are missing, wrong or too many.
scheduler.options(on_complete=archive)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.options(on_complete=internal.orders.archive)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.options(on_complete="orders:archive")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.options(on_complete=close_batch)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.options(on_failure=internal.orders.close_batch)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.options(on_failure="orders:close_batch")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.options(on_complete=report_order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.options(on_complete=internal.orders.report_order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.options(on_complete="orders:report_order")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.options(on_complete=(report_order, {"order": 7}))  # type: ignore[arg-type, typeddict-unknown-key]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.options(on_complete=(report_order, {"order_id": "7"}))  # type: ignore[arg-type, typeddict-unknown-key]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.options(on_complete=(internal.orders.report_order, {"order": 7}))  # type: ignore[arg-type, typeddict-unknown-key]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.options(on_failure=("orders:report_order", {"order": 7}))  # type: ignore[arg-type, typeddict-unknown-key]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.options(on_failure=("orders:report_order", 7))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.options(on_complete=(archive, {"order_id": 7}))  # type: ignore[arg-type, typeddict-unknown-key]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.options(on_complete=[report, report_order])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.batch(on_complete=report)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.batch(on_complete=internal.orders.report)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.batch(on_complete="orders:report")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]

# Crons.
crons.register("a", daily, internal.orders.archive, order=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
crons.register("a", daily, internal.orders.archive)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
crons.register("a", daily, "orders:archive", order_id="1")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
crons.register("a", "0 9 * * *", "orders:archive", order_id=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
ctx.crons.register("a", daily, internal.orders.archive, order=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
ctx.crons.register("a", daily, "orders:archive", order=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]

# A member of a batch, and a call with options.
with scheduler.batch() as batch:
    batch.run_after(0, internal.orders.archive, order=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    batch.run_after(0, "orders:archive", order=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    batch.run_after_many(0, archive, [{"order": 1}])  # type: ignore[typeddict-item, typeddict-unknown-key]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.options(queue="bulk").run_after(0, "orders:archive", order=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
scheduler.using("other").run_after(0, "orders:archive", order=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


async def from_async_code() -> None:
    await scheduler.arun_after(0, internal.orders.archive, order=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await scheduler.arun_at(tomorrow, "orders:archive", order=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await scheduler.arun_after_many(0, "orders:archive", [{"order": 1}])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await scheduler.arun_at_many(tomorrow, archive, [{"order": 1}])  # type: ignore[typeddict-item, typeddict-unknown-key]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await scheduler.acancel_all("orders:archive", args={"order": 7})  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await ctx.arun_mutation(internal.orders.ship, order_id=1, carrier=Carrier.BIKE)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await ctx.arun_mutation("orders:ship", order_id=1, carrier=Carrier.BIKE)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await ctx.arun_action(api.orders.create, items=["a"])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await ctx.arun_action("orders:create", items=["a"])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await ctx.crons.aregister("a", daily, "orders:archive", order=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    scheduler.arun_after(0, internal.orders.archive, 1)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    scheduler.arun_after(0, "orders:archive", 1)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    ctx.arun_mutation("orders:create", items=["a"])  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    ctx.crons.aregister("a", daily, "orders:archive", 1)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]


async def with_a_wrong_result() -> str:
    return await ctx.arun_mutation("orders:create", items=["a"])  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


# A wrapper.
P = ParamSpec("P")
R = TypeVar("R")


def soon(function: Mutation[P, R], /, *args: P.args, **kwargs: P.kwargs) -> None:
    ctx.scheduler.run_after(1_000, function, *args)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    ctx.run_action(function, *args, **kwargs)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


soon(archive, order=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
soon(ship, order_id=1, carrier=Carrier.BIKE)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]


# Tests.
class OrderTests(SchedulerTestMixin, TestCase):
    def test_an_order(self) -> None:
        self.scheduler.assert_scheduled("orders:arhive")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.scheduler.assert_scheduled(internal.orders.arhive)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
        self.scheduler.assert_nothing_scheduled("orders:arhive")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.scheduler.scheduled("orders:arhive")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
