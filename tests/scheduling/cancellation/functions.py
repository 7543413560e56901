"""Functions that are canceled, and functions that cancel."""

import asyncio
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.models import ScheduledFunctionId
from tests.models import Entry
from tests.support.gates import Gate


def write_entry(context: Context, label: str) -> None:
    Entry.objects.create(label=label, function_id=context.function_id)


@mutation
def write_at_gate(ctx: Context, *, gate: str, label: str = "written") -> None:
    """Writes, waits in Python, and writes again."""
    write_entry(ctx, label)
    Gate(gate).pass_through()
    write_entry(ctx, f"{label} again")


@mutation
def wait_at_gate_and_raise(ctx: Context, *, gate: str) -> None:
    write_entry(ctx, "written")
    Gate(gate).pass_through()
    raise ValueError("it went wrong")


@mutation
def compute(ctx: Context, *, gate: str) -> None:
    """Does not leave Python, and does not rest there."""
    write_entry(ctx, "written")
    Gate(gate).arrive()
    while not Gate(gate).is_open:
        sum(range(1_000))


@mutation
def sleep_in_statement(ctx: Context, *, gate: str, times: int = 1_000) -> None:
    """Is in one statement for longer than any test may take, but only so many times."""
    write_entry(ctx, "written")
    if Gate(gate).arrive() < times:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(3600)")


@mutation
def sleep_and_translate_errors(ctx: Context, *, gate: str) -> None:
    """Makes an error of its own of whatever the database says, as a well-behaved service does."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            if Gate(gate).arrive() == 0:
                cursor.execute("SELECT pg_sleep(3600)")
    except DatabaseError as error:
        raise ValueError("the report could not be made") from error


@mutation
def cancel_in_mutation(ctx: Context, *, function_id: int, fail: bool = False) -> None:
    ctx.scheduler.cancel(ScheduledFunctionId(function_id))
    write_entry(ctx, "canceled")
    if fail:
        raise ValueError("it went wrong after that")


@mutation
def cancel_and_wait_at_gate(ctx: Context, *, function_id: int, gate: str) -> None:
    ctx.scheduler.cancel(ScheduledFunctionId(function_id))
    Gate(gate).pass_through()


@mutation
def cancel_all_in_mutation(ctx: Context) -> int:
    return ctx.scheduler.cancel_all(everything=True)


@action
def cancel_all_in_action(ctx: Context) -> int:
    return ctx.scheduler.cancel_all(everything=True)


# Actions that schedule before and after they are canceled


@action
def schedule_around_gate(ctx: Context, *, gate: str, way: str = "run_after") -> str:
    schedule_child(ctx, way, "before")
    Gate(gate).pass_through()
    schedule_child(ctx, way, "after")
    return "ended"


@action
def schedule_at_gates(ctx: Context, *, gates: list[str]) -> None:
    for number, gate in enumerate(gates, start=1):
        Gate(gate).pass_through()
        ctx.scheduler.run_after(0, leave_trace, label=f"after {number}")


@action
def wait_at_gate_and_fail(ctx: Context, *, gate: str) -> None:
    Gate(gate).pass_through()
    raise ValueError("it went wrong")


@action
async def schedule_around_gate_async(ctx: Context, *, gate: str) -> None:
    await ctx.scheduler.arun_after(0, leave_trace, label="before")
    await asyncio.to_thread(Gate(gate).pass_through)
    await ctx.scheduler.arun_after(0, leave_trace, label="after")
    await ctx.arun_mutation(schedule_in_mutation, label="after, in a mutation")


@action
def lock_own_row(context: Context, *, gate: str) -> None:
    """Holds its own row in a transaction of its own, as an action may that keeps a note in it."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM django_scheduler_scheduledfunction WHERE id = %s FOR UPDATE", [context.function_id]
            )
        Gate(gate).pass_through()
        write_entry(context, "written")


def schedule_child(context: Context, way: str, label: str) -> Any:
    match way:
        case "run_after":
            context.scheduler.run_after(0, leave_trace, label=label)
        case "later":
            context.scheduler.run_after(60_000, leave_trace, label=label)
        case "imported run_at":
            ctx.scheduler.run_at(timezone.now(), leave_trace, label=label)
        case "run_after_many":
            context.scheduler.run_after_many(0, leave_trace, [{"label": label}, {"label": label}])
        case "run_mutation":
            context.run_mutation(schedule_in_mutation, label=label)
        case "run_action":
            context.run_action(schedule_in_action, label=label)
        case "atomic":
            with transaction.atomic():
                context.scheduler.run_after(0, leave_trace, label=label)


@mutation
def schedule_in_mutation(context: Context, *, label: str) -> None:
    ctx.scheduler.run_after(0, leave_trace, label=label)


@action
def schedule_in_action(context: Context, *, label: str) -> None:
    ctx.scheduler.run_after(0, leave_trace, label=label)


@mutation
def leave_trace(ctx: Context, *, label: str) -> None:
    write_entry(ctx, label)
