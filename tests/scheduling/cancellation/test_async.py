import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.errors import AlreadyFinished, UnknownScheduledFunction
from django_scheduler.models import State
from tests.functions import note, write
from tests.support.records import record


def from_async_code(body):
    """Run it as an async view would be, on the test's own connection."""
    return async_to_sync(body)()


def test_acancel_is_cancel(transactional_db):
    async def body():
        function_id = await ctx.scheduler.arun_after(60_000, write, label="never")
        await ctx.scheduler.acancel(function_id)
        return function_id

    assert record(from_async_code(body)).state == State.CANCELED


def test_acancel_raises_what_cancel_raises(execute_due):
    finished = ctx.scheduler.run_after(0, write, label="done")
    execute_due()

    async def body():
        with pytest.raises(UnknownScheduledFunction):
            await ctx.scheduler.acancel(987_654_321)
        with pytest.raises(AlreadyFinished):
            await ctx.scheduler.acancel(finished)
        with pytest.raises(TypeError):
            await ctx.scheduler.acancel("1")  # type: ignore[arg-type]

    from_async_code(body)


def test_acancel_all_is_cancel_all(transactional_db):
    ctx.scheduler.run_after_many(60_000, write, [{"label": "later"}] * 3)
    ctx.scheduler.run_after(60_000, note, label="later")

    async def body():
        assert await ctx.scheduler.acancel_all(write) == 3
        assert await ctx.scheduler.acancel_all(start=timezone.now()) == 1
        assert await ctx.scheduler.acancel_all(everything=True) == 0

    from_async_code(body)
