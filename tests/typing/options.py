"""A scheduler with options is typed as one without them, and so are a batch and what callbacks are told."""

from datetime import timedelta
from typing import assert_type

from django.utils import timezone

from django_scheduler import BatchOutcome, Context, Outcome, ScheduledFunctionId, ctx, internal, internal_mutation
from tests.typing.functions import archive_order, plain, send_confirmation


@internal_mutation
def report(ctx: Context, *, outcome: Outcome, order_id: int) -> str:
    assert_type(outcome.id, int)
    assert_type(outcome.state, str)
    return outcome.error


@internal_mutation
def report_all(ctx: Context, outcome: Outcome, page: int = 1) -> None: ...


@internal_mutation
def report_any(ctx: Context, *, outcome: Outcome | BatchOutcome) -> None: ...


@internal_mutation(expires=timedelta(hours=1))
def publish(ctx: Context, *, outcome: BatchOutcome) -> int:
    return outcome.total - outcome.succeeded


bulk = ctx.scheduler.options(queue="bulk", priority=-5, expires=timedelta(hours=1))
assert_type(bulk.run_after(0, archive_order, 1), ScheduledFunctionId)
assert_type(
    bulk.options(expires=timezone.now(), on_complete=report_all).run_at(0, archive_order, 1), ScheduledFunctionId
)
bulk.options(expires=None, on_failure=(report, {"order_id": 7}), on_complete="orders:report")
bulk.using("other").options(on_complete=(internal.orders.report, {"order_id": 7}))
bulk.options(on_complete=report_any, on_failure=internal.orders.report)
ctx.scheduler.batch(on_complete=report_any)
ctx.scheduler.batch(on_complete=(publish, {}))

with ctx.scheduler.batch(on_complete=publish) as batch:
    assert_type(batch.id, int)
    assert_type(batch.run_after(0, send_confirmation, order_id=1), ScheduledFunctionId)
    assert_type(batch.run_after_many(0, archive_order, [{"order_id": 1}]), list[ScheduledFunctionId])
    batch.options(queue="bulk").run_after(0, archive_order, 1)

if ctx.batch is not None:
    ctx.batch.run_after(0, archive_order, 1)

bulk.run_after(0, archive_order, "1")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
bulk.options(on_complete=report_all).run_after(0, send_confirmation, order="x")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
batch.run_after(0, send_confirmation, order="x")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
ctx.scheduler.options("bulk")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
ctx.scheduler.options(queue=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ctx.scheduler.options(expires=3_600)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ctx.scheduler.options(on_complete=plain)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ctx.scheduler.options(on_complete=(report, 7))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ctx.scheduler.options(on_complete=report)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ctx.scheduler.options(on_complete=archive_order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ctx.scheduler.options(on_failure=publish)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ctx.scheduler.options(on_complete=[report_all, report_any])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ctx.scheduler.options(on_complete=(plain, {"order_id": 7}))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ctx.scheduler.options(on_complete=(report, ["order_id"]))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ctx.scheduler.batch(on_complete=report_all)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ctx.scheduler.batch(on_complete=archive_order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ctx.scheduler.batch(on_complete=plain)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ctx.scheduler.batch(publish)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
ctx.batch.run_after(0, archive_order, 1)  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
internal_mutation(expires=3_600)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
