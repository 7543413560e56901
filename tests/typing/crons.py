"""``crons.register`` and ``ctx.crons.register`` take the arguments that the function takes."""

from datetime import timedelta
from typing import assert_type

from django_scheduler import ScheduledFunctionId, crons, ctx, internal
from django_scheduler.crons.models import Cron
from tests.typing.functions import archive_order, plain, send_confirmation

every_minute = crons.Interval(minutes=1)

crons.register("archive", every_minute, archive_order, 1)
crons.register("confirm", crons.Daily(hour=7, timezone="Europe/Berlin"), send_confirmation, order_id=1)
assert_type(ctx.crons.register("confirm", every_minute, send_confirmation, order_id=1), Cron)
assert_type(ctx.crons.update("confirm", schedule=crons.Interval(every=timedelta(hours=1))), Cron)
assert_type(ctx.crons.run_now("confirm"), ScheduledFunctionId)
assert_type(ctx.crons.list(), list[Cron])

crons.register("confirm", crons.CronLine("0 9 * * *"), internal.orders.send_confirmation, order_id=1)
crons.Hourly(minute=5, timezone="Europe/Berlin", catch_up="none", pause_after_failures=3)
crons.Interval(seconds=10, catch_up="all")

crons.register("confirm", every_minute, send_confirmation, order="x")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
crons.register("confirm", every_minute, send_confirmation)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
crons.register("confirm", "0 9 * * *", send_confirmation, order_id=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
ctx.crons.register("confirm", every_minute, send_confirmation, order_id="1")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
ctx.crons.register("confirm", every_minute, plain, order_id=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
crons.register("confirm", every_minute, plain)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
crons.Interval(seconds="10")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
crons.Weekly(day="monday", hour="7")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
crons.Weekly(day="mon", hour=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
crons.Daily(minute=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
crons.Daily(hour=7, order_id=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
crons.Interval(minutes=1, catch_up="some")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
