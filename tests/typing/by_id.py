"""``reschedule``, ``run_now`` and ``run_again`` take ids, as ``cancel`` does, and so do their forms for many."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import assert_type

from django_scheduler import InterventionResult, ScheduledFunctionId, ctx
from tests.typing.functions import archive_order

scheduler = ctx.scheduler
tomorrow = datetime.fromisoformat("2030-01-01T00:00:00+00:00")
ids: Iterable[int] = (number for number in range(3))

scheduler.reschedule(scheduler.run_after(0, archive_order, 1), tomorrow)
scheduler.reschedule(7, 1_900_000_000_000)
scheduler.run_now(7)
assert_type(scheduler.run_again(7), ScheduledFunctionId)
assert_type(scheduler.using("other").run_again(7), ScheduledFunctionId)
assert_type(scheduler.reschedule_many(ids, tomorrow), dict[int, InterventionResult])
assert_type(scheduler.run_now_many([7, 8]), dict[int, InterventionResult])
assert_type(scheduler.run_again_many({7, 8}), dict[int, InterventionResult])


async def from_async_code() -> None:
    await scheduler.areschedule(7, tomorrow)
    await scheduler.arun_now(7)
    assert_type(await scheduler.arun_again(7), ScheduledFunctionId)
    assert_type(await scheduler.areschedule_many(ids, tomorrow), dict[int, InterventionResult])
    assert_type(await scheduler.arun_now_many(ids), dict[int, InterventionResult])
    assert_type(await scheduler.arun_again_many(ids), dict[int, InterventionResult])


scheduler.reschedule(7)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
scheduler.reschedule(7, timedelta(days=1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
scheduler.reschedule([7], tomorrow)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
scheduler.run_now("7")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
scheduler.run_now_many(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
scheduler.run_again(archive_order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
