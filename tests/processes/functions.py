"""Functions that stop half-way, so that a test can end their executor exactly there."""

import builtins
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection

from django_scheduler import Context, action, mutation
from tests.models import Entry
from tests.support.gates import Gate


@dataclass
class Doorstep:
    """An argument on whose restoration a function waits: it has been claimed, and its body has not begun."""

    gate: str

    def __post_init__(self) -> None:
        if (Path(self.gate) / "armed").exists():
            Gate(self.gate).pass_through()


def write_entry(ctx: Context, label: str) -> None:
    Entry.objects.create(label=label, function_id=ctx.function_id)


def wait_around_record(gate: str, *, before: bool) -> None:
    """Wait just before or just after the statement that records how the function ended."""

    def waiting(execute: Any, sql: str, *arguments: Any) -> Any:
        is_record = sql.startswith("UPDATE django_scheduler_scheduledfunction SET state")
        if is_record and before:
            Gate(gate).pass_through()
        answer = execute(sql, *arguments)
        if is_record and not before:
            Gate(gate).pass_through()
        return answer

    connection.execute_wrappers.insert(0, waiting)


def sleep_in_database(seconds: float) -> None:
    with connection.cursor() as cursor:
        match connection.vendor:
            case "postgresql":
                cursor.execute("SELECT pg_sleep(%s)", [seconds])
            case "mysql":
                cursor.execute("SELECT SLEEP(%s)", [seconds])


@mutation
def write_behind_doorstep(ctx: Context, *, label: str, doorstep: Doorstep) -> None:
    write_entry(ctx, label)


@mutation
def write_and_wait(ctx: Context, *, label: str, gate: str) -> None:
    write_entry(ctx, label)
    Gate(gate).pass_through()


@mutation
def write_and_wait_before_record(ctx: Context, *, label: str, gate: str) -> None:
    write_entry(ctx, label)
    wait_around_record(gate, before=True)


@mutation
def write_and_wait_before_commit(ctx: Context, *, label: str, gate: str) -> None:
    write_entry(ctx, label)
    wait_around_record(gate, before=False)


@mutation
def write_and_sleep_in_database(ctx: Context, *, label: str, gate: str) -> None:
    """Sleeps in a statement for longer than any test may take, but not when it is executed again."""
    write_entry(ctx, label)
    if Gate(gate).arrive() == 0:
        sleep_in_database(3600)


@action
def note_behind_doorstep(ctx: Context, *, label: str, doorstep: Doorstep) -> None:
    write_entry(ctx, label)


@action
def note_and_wait(ctx: Context, *, label: str, gate: str) -> None:
    write_entry(ctx, label)
    Gate(gate).pass_through()


@action
def note_and_wait_before_record(ctx: Context, *, label: str, gate: str) -> None:
    write_entry(ctx, label)
    wait_around_record(gate, before=True)


@mutation
def work(ctx: Context, *, label: str) -> None:
    """Takes a moment, a part of it in the database."""
    write_entry(ctx, label)
    time.sleep(0.002)


@action
def toil(ctx: Context, *, label: str) -> None:
    """Takes a moment before and after it has done something."""
    time.sleep(0.005)
    write_entry(ctx, label)
    time.sleep(0.005)


@mutation
def end_the_process(ctx: Context, *, how: str) -> None:
    write_entry(ctx, how)
    raise getattr(builtins, how)


@action
def end_the_process_from_an_action(ctx: Context, *, how: str) -> None:
    raise getattr(builtins, how)


@action
async def end_the_process_from_a_coroutine(ctx: Context) -> None:
    raise SystemExit
