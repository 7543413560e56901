"""``cancel`` takes what ``run_after`` has returned, also after it was stored as an integer."""

from datetime import datetime
from typing import assert_type

from django_scheduler import api, ctx
from tests.models import Entry
from tests.typing.functions import archive_order, plain

scheduler = ctx.scheduler
tomorrow = datetime.fromisoformat("2030-01-01T00:00:00+00:00")

scheduler.cancel(scheduler.run_after(0, archive_order, 1))
scheduler.cancel(7)  # as it comes from a column of the caller's
assert_type(scheduler.cancel_all(everything=True), int)
assert_type(scheduler.cancel_all(archive_order, start=tomorrow), int)
assert_type(scheduler.cancel_all(api.orders.create_order, end=1_900_000_000_000), int)
assert_type(scheduler.cancel_all("orders:create_order"), int)
assert_type(scheduler.cancel_all(archive_order, args={"order_id": 7}), int)
assert_type(scheduler.cancel_all(args={"order": Entry(), "paid": None}), int)

scheduler.cancel("7")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
scheduler.cancel_all(plain)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
scheduler.cancel_all(archive_order, tomorrow)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
scheduler.cancel(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
scheduler.cancel(archive_order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
scheduler.cancel_all(Entry.objects.all())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
scheduler.cancel_all(args=["order_id"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
scheduler.cancel_all(start="tomorrow")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
