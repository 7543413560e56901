"""Functions that stop half-way, so that a test can end their executor exactly there."""

import asyncio
import builtins
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from django.db import connection

from django_scheduler import Backoff, BatchOutcome, Context, Retry, action, internal_mutation, mutation
from django_scheduler.databases import database_for
from django_scheduler.models import ScheduledFunction
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
    """Wait just before or just after the statement that records how the function ended, in this thread."""
    database: Any = database_for("default")
    thread = threading.current_thread()

    def waiting(change: Callable[..., Any], *args: Any, **options: Any) -> Any:
        is_record = threading.current_thread() is thread
        if is_record and before:
            Gate(gate).pass_through()
        answer = change(*args, **options)
        if is_record and not before:
            Gate(gate).pass_through()
        return answer

    for name in ("change", "change_each"):
        setattr(database, name, partial(waiting, getattr(database, name)))


@action(retry=Retry(2, backoff=Backoff(initial=0)), idempotent=True)
def note_and_wait_again(ctx: Context, *, label: str, gate: str) -> list[object]:
    """May be executed several times."""
    write_entry(ctx, label)
    Gate(gate).pass_through()
    return [ctx.attempt, ctx.idempotency_key]


@action(retry=Retry(2, backoff=Backoff(initial=0)))
def note_and_wait_with_retry(ctx: Context, *, label: str, gate: str) -> None:
    write_entry(ctx, label)
    Gate(gate).pass_through()


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
def work_and_add(ctx: Context, *, label: str) -> None:
    """Adds two members to its batch."""
    assert ctx.batch is not None
    ctx.batch.run_after_many(0, work, [{"label": f"{label}.{number}"} for number in range(2)])
    time.sleep(0.002)


@action
def toil_and_add(ctx: Context, *, label: str) -> None:
    """Adds a member to its batch, and may be killed before or after that."""
    assert ctx.batch is not None
    time.sleep(0.005)
    ctx.batch.run_after(0, work, label=label)
    time.sleep(0.005)


@internal_mutation
def note_end_of_batch(ctx: Context, *, outcome: BatchOutcome) -> None:
    members = ScheduledFunction.objects.filter(batch=outcome.id)
    unfinished = members.filter(completed_time__isnull=True).count()
    counts = f"{outcome.succeeded} {outcome.failed} {outcome.canceled}"
    write_entry(ctx, f"{outcome.total} of {members.count()}, {unfinished} unfinished: {counts}")


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


def _fork(gate: str) -> None:
    if os.fork() == 0:
        Gate(gate).pass_through()
        os._exit(0)


def _fork_with_multiprocessing(gate: str) -> None:
    multiprocessing.get_context("fork").Process(target=Gate(gate).pass_through).start()


def _start_with_a_shell(gate: str) -> None:
    os.system(f"flock --shared {gate}/lock true &")
    Gate(gate).arrive()


#: Ways to start a process that stays at a gate.
WAYS_TO_START = {
    "os.fork": _fork,
    "multiprocessing": _fork_with_multiprocessing,
    "os.system": _start_with_a_shell,
}


@action
def start_a_process(ctx: Context, *, how: str, gate: str) -> None:
    WAYS_TO_START[how](gate)


@action
async def start_a_process_from_a_coroutine(ctx: Context, *, how: str, gate: str) -> None:
    WAYS_TO_START[how](gate)


def code_of(process_id: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1])


def fork_and_come_back(how: str) -> int:
    """Fork; the parent returns how the other one has ended, which goes back to the executor."""
    if process_id := os.fork():
        return code_of(process_id)
    match how:
        case "exits":
            sys.exit(7)
        case "raises":
            raise ValueError("in the process that was forked")
    return 0


@mutation
def write_and_fork(ctx: Context, *, how: str) -> int:
    write_entry(ctx, how)
    return fork_and_come_back(how)


@action
def note_and_fork(ctx: Context, *, how: str) -> int:
    write_entry(ctx, how)
    return fork_and_come_back(how)


@action
async def fork_in_a_coroutine(ctx: Context, *, how: str) -> int:
    await Entry.objects.acreate(label=how, function_id=ctx.function_id)
    return fork_and_come_back(how)


@action
def fork_and_write(ctx: Context) -> int:
    """Both processes write, each in a session of its own."""
    if process_id := os.fork():
        write_entry(ctx, "parent")
        return code_of(process_id)
    write_entry(ctx, "forked")
    return 0


@action
async def note_until_open(ctx: Context, *, gate: str) -> None:
    while not Gate(gate).is_open:
        Gate(gate).arrive()
        await asyncio.sleep(0)


@action
async def note_in_threads_once_open(ctx: Context, *, label: str, gate: str) -> None:
    while not Gate(gate).is_open:
        Gate(gate).arrive()
        await asyncio.sleep(0.01)
    await Entry.objects.acreate(label=label, function_id=ctx.function_id)
    await asyncio.to_thread(Gate(gate).depart)


@action
async def fork_and_await(ctx: Context) -> int:
    process_id = os.fork()
    if process_id == 0:
        for _ in range(1000):
            await asyncio.sleep(0)
        os._exit(9)
    return code_of(process_id)
