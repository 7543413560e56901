"""Functions that end their process, each in its own way."""

import ctypes
import os
import signal
import time
from collections.abc import Callable
from typing import NoReturn

from django_scheduler import Context, action, mutation
from tests.models import Entry
from tests.support.gates import Gate


def segfault() -> None:
    ctypes.string_at(0)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


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
def crash_until_open(ctx: Context, *, gate: str) -> None:
    """Kills its process until the gate is open."""
    Entry.objects.create(label="survived", function_id=ctx.function_id)
    if not Gate(gate).is_open:
        kill()


@action
def crash_in_an_action(ctx: Context, *, how: str) -> None:
    Entry.objects.create(label=how, function_id=ctx.function_id)
    WAYS[how][0]()


@action
async def crash_in_a_coroutine(ctx: Context, *, how: str) -> None:
    await Entry.objects.acreate(label=how, function_id=ctx.function_id)
    WAYS[how][0]()


@mutation
def take_long(ctx: Context, *, label: str) -> None:
    Entry.objects.create(label=label, function_id=ctx.function_id)
    time.sleep(0.6)


_kept: list[bytearray] = []


@action
def keep_memory(ctx: Context, *, mebibytes: int) -> None:
    _kept.append(bytearray(os.urandom(1024)) * (1024 * mebibytes))
