"""Functions that end their process, each in its own way."""

import asyncio
import atexit
import ctypes
import multiprocessing
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

from django_scheduler import Backoff, Context, Retry, action, mutation
from tests.models import Entry
from tests.support.gates import Gate
from tests.support.waiting import wait_until


def segfault() -> None:
    ctypes.string_at(0)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    threading.Event().wait()  # until it is delivered


def leave(code: int) -> NoReturn:
    os._exit(code)


#: And how the record names the end.
WAYS: dict[str, tuple[Callable[[], object], str]] = {
    "segfault": (segfault, "SIGSEGV"),
    "kill": (kill, "SIGKILL"),
    "exit": (lambda: leave(7), "exit code 7"),
    "exit as if nothing were wrong": (lambda: leave(0), "exit code 0"),
}


@mutation
def crash(ctx: Context, *, how: str) -> None:
    Entry.objects.create(label=how, function_id=ctx.function_id)
    WAYS[how][0]()


@mutation
def crash_twice(ctx: Context, *, gate: str) -> None:
    """Kills its process the first and the second time."""
    Entry.objects.create(label="survived", function_id=ctx.function_id)
    if Gate(gate).arrive() < 2:
        kill()


@action(retry=Retry(3, backoff=Backoff(initial=0)), idempotent=True)
def crash_in_each_attempt_but_the_third(ctx: Context) -> None:
    Entry.objects.create(label="begun", function_id=ctx.function_id)
    if ctx.attempt != 3:
        kill()


@mutation
def crash_beside(ctx: Context, *, gate: str, number: int) -> None:
    """Kills its process when so many others are in their bodies at the gate, and at once when that is open."""
    at_gate = Gate(gate)
    if not at_gate.is_open:
        wait_until(lambda: at_gate.process_ids.count(os.getpid()) == number, "the others came to the gate")
    kill()


@action
def crash_in_an_action(ctx: Context, *, how: str) -> None:
    Entry.objects.create(label=how, function_id=ctx.function_id)
    WAYS[how][0]()


@action
async def crash_in_a_coroutine(ctx: Context, *, how: str) -> None:
    await Entry.objects.acreate(label=how, function_id=ctx.function_id)
    WAYS[how][0]()


_kept: list[bytearray] = []


@action
def keep_memory(ctx: Context, *, mebibytes: int) -> None:
    _kept.append(bytearray(os.urandom(1024)) * (1024 * mebibytes))


@action(timeout=0.2)
def hang_in_an_action(ctx: Context, *, gate: str) -> None:
    Gate(gate).pass_through()


@mutation(timeout=0.2)
def hang_in_a_mutation(ctx: Context, *, gate: str) -> None:
    Gate(gate).pass_through()


@action(timeout=0.2)
async def block_event_loop(ctx: Context, *, gate: str) -> None:
    Gate(gate).pass_through()


def _leave_a_thread(gate: str) -> None:
    threading.Thread(target=Gate(gate).pass_through, daemon=False).start()


def _leave_a_pool(gate: str) -> None:
    ThreadPoolExecutor(1).submit(Gate(gate).pass_through)


def _leave_a_process(gate: str) -> None:
    multiprocessing.get_context("fork").Process(target=Gate(gate).pass_through).start()


def _leave_a_hook(gate: str) -> None:
    atexit.register(Gate(gate).pass_through)


#: What a body may leave that keeps a process from ending by itself.
LEFTOVERS: dict[str, Callable[[str], None]] = {
    "thread": _leave_a_thread,
    "pool": _leave_a_pool,
    "process": _leave_a_process,
    "hook": _leave_a_hook,
}


@action
def leave_behind(ctx: Context, *, what: str, gate: str) -> None:
    LEFTOVERS[what](gate)


@action
async def leave_a_thread_of_asyncio(ctx: Context, *, what: str, gate: str) -> None:
    asyncio.get_running_loop().run_in_executor(None, Gate(gate).pass_through)


@action
def leave_an_orphan(ctx: Context) -> int:
    """Start a process whose parent ends before it does."""
    started = subprocess.run(["sh", "-c", "sleep 0.1 & echo $!"], stdout=subprocess.PIPE, check=True)
    return int(started.stdout)
