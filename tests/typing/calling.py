"""``run_mutation`` and ``run_action`` give what the function returns, for sync and async callers."""

from typing import Any, assert_type

from django_scheduler import ScheduledFunctionId, api, crons, ctx
from tests.models import Entry
from tests.typing.functions import archive_order, create_order, fetch_rate, plain, send_confirmation

assert_type(ctx.run_mutation(create_order, items=["a"]), int)
assert_type(ctx.run_action(send_confirmation, order_id=1), str)
assert_type(ctx.run_action(fetch_rate, "EUR"), float)
assert_type(ctx.run_mutation(api.orders.create_order, items=["a"]), Any)
assert_type(ctx.run_action("orders:fetch_rate", currency="EUR"), Any)
assert_type(ctx.function_id, ScheduledFunctionId | None)

ctx.run_mutation(send_confirmation, order_id=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
ctx.run_mutation(fetch_rate, "EUR")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
ctx.run_action(create_order, items=["a"])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
ctx.run_action(archive_order, 1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
ctx.run_action(plain, order_id=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
ctx.run_action(fetch_rate)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
ctx.run_mutation(create_order, items=["a"], color="red")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
ctx.run_mutation(api.orders, items=["a"])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
rate: int = ctx.run_action(fetch_rate, "EUR")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
ctx.run_mutation(create_order, items="a")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
ctx.run_mutation(create_order)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
ctx.run_mutation(plain, order_id=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
ctx.run_action(fetch_rate, 5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
ctx.run_action(send_confirmation, order="x")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


async def from_async_code() -> None:
    scheduler = ctx.scheduler
    assert_type(await ctx.arun_mutation(create_order, items=["a"]), int)
    assert_type(await ctx.arun_action(send_confirmation, order_id=1), str)
    assert_type(await ctx.arun_action(fetch_rate, "EUR"), float)
    assert_type(await scheduler.arun_after(0, archive_order, 1), ScheduledFunctionId)
    assert_type(await scheduler.arun_at(0, fetch_rate, currency="EUR"), ScheduledFunctionId)
    assert_type(await scheduler.arun_after_many(0, archive_order, [{"order_id": 1}]), list[ScheduledFunctionId])
    assert_type(await scheduler.acancel_all(everything=True), int)

    await scheduler.arun_after(0, archive_order, "1")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await scheduler.arun_at(0, fetch_rate)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await scheduler.acancel("7")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await ctx.arun_action(fetch_rate, 5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await ctx.arun_mutation(create_order, items="a")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await ctx.arun_mutation(create_order)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await ctx.arun_mutation(plain, order_id=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await scheduler.arun_after(0, send_confirmation, order="x")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await scheduler.arun_at_many(0, plain, [])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await ctx.arun_mutation(send_confirmation, order_id=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await ctx.arun_action(create_order, items=["a"])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await ctx.arun_action(plain, order_id=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ctx.arun_mutation(create_order, items=["a"])  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    ctx.arun_action(fetch_rate, "EUR")  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    scheduler.arun_after(0, archive_order, 1)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    scheduler.arun_after_many(0, archive_order, [{"order_id": 1}])  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    scheduler.acancel(7)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    ctx.crons.aregister("archive", crons.Interval(minutes=1), archive_order, 1)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    await ctx.crons.aregister("archive", crons.Interval(minutes=1), archive_order, "1")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await scheduler.acancel_all(plain)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def with_a_wrong_result() -> str:
    return await ctx.arun_mutation(create_order, items=["a"])  # type: ignore[call-overload, no-any-return]  # pyright: ignore[reportReturnType]


number: str = ctx.run_mutation(create_order, items=["a"])  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
ctx.run_mutation(Entry.objects.all())  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
ctx.function_id = 7  # type: ignore[misc, assignment]  # pyright: ignore[reportAttributeAccessIssue]
