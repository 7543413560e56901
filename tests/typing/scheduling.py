"""``run_after`` and its siblings take the arguments that the function takes."""

from datetime import datetime, timedelta
from typing import assert_type

from django_scheduler import ScheduledFunctionId, api, ctx, internal
from tests.models import Entry
from tests.typing.functions import archive_order, create_order, fetch_rate, plain, send_confirmation, tag_order

scheduler = ctx.scheduler
tomorrow = datetime.fromisoformat("2030-01-01T00:00:00+00:00")

assert_type(scheduler.run_after(0, create_order, items=["a"]), ScheduledFunctionId)
assert_type(scheduler.run_after(timedelta(days=7), archive_order, 1), ScheduledFunctionId)
assert_type(scheduler.run_after(0.5, archive_order, order_id=1), ScheduledFunctionId)
assert_type(scheduler.run_after(0, fetch_rate, currency="EUR"), ScheduledFunctionId)
assert_type(scheduler.run_at(tomorrow, send_confirmation, order_id=1), ScheduledFunctionId)
assert_type(scheduler.run_at(1_900_000_000_000, send_confirmation, order_id=1), ScheduledFunctionId)
assert_type(scheduler.run_after_many(0, archive_order, [{"order_id": 1}]), list[ScheduledFunctionId])
assert_type(
    scheduler.run_at_many(tomorrow, archive_order, ({"order_id": n} for n in range(3))), list[ScheduledFunctionId]
)
assert_type(scheduler.using("other").run_after(0, archive_order, 1), ScheduledFunctionId)

# References by name are found at run time, and so are their arguments.
scheduler.run_after(0, internal.orders.archive_order, order_id=1)
scheduler.run_at(tomorrow, api.orders.create_order, items=["a"])
scheduler.run_after(0, "orders:create_order", items=["a"])

scheduler.run_after(0, send_confirmation, order="x")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
scheduler.run_after(0, send_confirmation)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
scheduler.run_after(0, send_confirmation, 1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
scheduler.run_after(0, send_confirmation, order_id="1")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
scheduler.run_after(0, send_confirmation, order_id=1, to="x")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
scheduler.run_after(0, send_confirmation, ctx, order_id=1)  # type: ignore[misc, arg-type]  # pyright: ignore[reportCallIssue]
scheduler.run_at(tomorrow, create_order, items="a")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
scheduler.run_after(0, plain, order_id=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
scheduler.run_after("0", archive_order, 1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
scheduler.run_after(tomorrow, archive_order, 1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
scheduler.run_at(timedelta(1), archive_order, 1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
scheduler.run_after_many(0, plain, [])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
scheduler.run_after_many(0, archive_order, {"order_id": 1})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
scheduler.run_after_many(0, archive_order, [1, 2])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]

# What cannot be scheduled: a query, whether as the function or as an argument, a method, a class, an app, a call.
scheduler.run_after(0, Entry.objects.all())  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
scheduler.run_after(0, Entry.objects.count)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
scheduler.run_after(0, Entry)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
scheduler.run_after(0, create_order, items=Entry.objects.all())  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
scheduler.run_after(0, api.orders)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
scheduler.run_after(0, create_order(ctx, items=["a"]))  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
scheduler.run_at("tomorrow", archive_order, 1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
scheduler.run_at_many(timedelta(1), archive_order, [])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# With ** any name goes, and only the type is looked at.
scheduler.run_after(0, tag_order, 1, color="red", size="small")
scheduler.run_after(0, tag_order, 1, color=5)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]

# An id is an integer, but not any integer is an id of ours.
order_id: int = scheduler.run_after(0, archive_order, 1)
function_id: ScheduledFunctionId = 7  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]

# Options of the call; what comes after them is typed as without them.
keyed = scheduler.options(key="order:1", existing="replace", max_wait=timedelta(minutes=5))
assert_type(keyed.run_after(0, archive_order, order_id=1), ScheduledFunctionId)
assert_type(
    keyed.options(max_wait=timedelta(seconds=5)).using("other").run_at(tomorrow, archive_order, 1), ScheduledFunctionId
)


def key_of_order(order_id: int) -> str:
    return f"order:{order_id}"


by_arguments = scheduler.options(key=key_of_order)
assert_type(by_arguments.run_after_many(0, archive_order, [{"order_id": 1}]), list[ScheduledFunctionId])
keyed.run_after(0, archive_order, order="x")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
scheduler.options(key=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
scheduler.options(key="a", existing="drop")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
scheduler.options(key="a", existing="replace", max_wait="5 min")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
