"""Every method has a twin for async callers, with the same signature and the same effect."""

import inspect
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

from django_scheduler import Context, action, ctx
from django_scheduler.errors import InvalidArguments, InvalidSchedule
from django_scheduler.models import ScheduledFunction, State
from django_scheduler.scheduling.scheduler import Scheduler
from tests.functions import note, note_async, write
from tests.models import Entry

#: For calls that a type checker would reject.
unchecked: Any = ctx


def rows(**conditions):
    return ScheduledFunction.objects.filter(**conditions)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        *(
            (Scheduler, name)
            for name in [
                *("run_after", "run_at", "run_after_many", "run_at_many", "cancel", "cancel_all"),
                *("reschedule", "reschedule_many", "run_now", "run_now_many", "run_again", "run_again_many"),
            ]
        ),
        *((Context, name) for name in ["run_mutation", "run_action"]),
    ],
)
def test_a_twin_takes_what_the_other_one_takes(owner, name):
    method, twin = getattr(owner, name), getattr(owner, f"a{name}")
    assert inspect.iscoroutinefunction(twin)
    assert inspect.signature(twin).parameters == inspect.signature(method).parameters


def test_all_of_them_together(execute_due):
    async def all_of_them():
        in_a_minute = timezone.now() + timedelta(minutes=1)
        scheduler = ctx.scheduler
        first = await scheduler.arun_after(0, write, label="a")
        second = await scheduler.arun_at(in_a_minute, note, label="b")
        third, fourth = await scheduler.arun_after_many(0, write, [{"label": "c"}, {"label": "d"}])
        (fifth,) = await scheduler.arun_at_many(in_a_minute, note, [{"label": "e"}])
        await scheduler.acancel(third)
        assert await scheduler.acancel_all(note, start=in_a_minute, end=in_a_minute + timedelta(minutes=1)) == 2
        return [first, fourth], [second, third, fifth]

    due, canceled = async_to_sync(all_of_them)()
    assert set(rows(state=State.CANCELED).values_list("pk", flat=True)) == set(canceled)
    execute_due()
    assert [entry.function_id for entry in Entry.objects.order_by("pk")] == due


@pytest.mark.django_db
def test_they_raise_what_the_others_raise():
    async def each():
        with pytest.raises(InvalidSchedule):
            await ctx.scheduler.arun_after(-1, write, label="a")
        with pytest.raises(InvalidArguments):
            await unchecked.scheduler.arun_at(timezone.now(), write)
        with pytest.raises(InvalidArguments):
            await ctx.scheduler.arun_after_many(0, write, [{}])

    async_to_sync(each)()
    assert not rows().exists()


@pytest.mark.django_db
def test_parameters_may_have_any_name():
    @action
    def take(
        ctx: Context, *, self: int, delay: int, function: int, func: int, loop: int, when: int, args: int, kwargs: int
    ) -> int:
        return self + delay + function + func + loop + when + args + kwargs

    arguments = dict.fromkeys(["self", "delay", "function", "func", "loop", "when", "args", "kwargs"], 1)

    async def schedule():
        await ctx.scheduler.arun_after(0, take, **arguments)
        await ctx.scheduler.arun_at(timezone.now(), take, **arguments)
        return await ctx.arun_action(take, **arguments)

    assert async_to_sync(schedule)() == 8
    ctx.scheduler.run_after(0, take, **arguments)
    assert ctx.run_action(take, **arguments) == 8
    assert [row.args for row in rows()] == [arguments] * 3


def test_in_an_async_action_they_carry_its_id(execute_due):
    @action
    async def schedule(context: Context) -> None:
        assert ctx.function_id == context.function_id
        await context.scheduler.arun_after(0, note_async, label="a")
        await ctx.scheduler.arun_after_many(0, note_async, [{"label": "b"}])
        await context.arun_mutation(write, label="c")
        await context.arun_action(note_async, label="d")

    function_id = ctx.scheduler.run_after(0, schedule)
    execute_due()
    assert rows(pk=function_id).get().state == State.SUCCESS
    assert rows(parent_id=function_id).count() == 2
    assert {entry.label for entry in Entry.objects.filter(function_id=function_id)} == {"c", "d"}
