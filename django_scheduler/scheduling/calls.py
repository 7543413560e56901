"""``ctx.run_mutation`` and ``ctx.run_action`` call a function now, in this process, and return its result.

A mutation that meets a transient error is repeated only while its own transaction is known to be gone: after an error
before COMMIT, or one by which COMMIT itself reports a conflict. When the connection is lost during COMMIT, it is not
known whether it took effect, and the error goes to the caller. (A scheduled mutation has its record to look at, and is
resolved: see ``executor/mutation.py``.) After COMMIT, Django runs the hooks of ``on_commit``, whose errors go to the
caller too, whatever they look like.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections, router, transaction

from django_scheduler.databases import database_for, django_internals
from django_scheduler.errors import FunctionNotFound, SchedulerError, TransientError
from django_scheduler.functions import AnyFunction, AnyReference, resolve
from django_scheduler.models import Kind, ScheduledFunction
from django_scheduler.scheduling.refusals import is_in_event_loop
from django_scheduler.scheduling.running import Running, running
from django_scheduler.transactions import Attempt, DoublingWait, OwnTransaction

if TYPE_CHECKING:
    from django_scheduler.context import Context


#: Convex's numbers for a mutation that a client called.
RETRIES = 4

#: The wait before the first of them, in seconds; each further one is twice as long. Full jitter makes it shorter.
FIRST_WAIT = 0.2


def run_mutation(caller: Context, function: AnyReference, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    mutation = _resolve(function, Kind.MUTATION)
    arguments = mutation.bind(args, kwargs)
    using, context = _alias_and_context(caller, Kind.MUTATION)
    if caller.running is not None:
        caller.running.require_transaction(using, f"run {mutation.name}")
    if django_internals.is_in_atomic_block(connections[using]):
        with transaction.atomic(using=using):
            committed = threading.Event()
            transaction.on_commit(committed.set, using=using)
            return run_mutation_body(mutation, arguments, context, committed.is_set)
    result, hook_error = commit_mutation(caller, mutation, arguments)
    if hook_error is not None:
        raise hook_error
    return result


def commit_mutation(
    caller: Context, mutation: AnyFunction, arguments: dict[str, object]
) -> tuple[Any, Exception | None]:
    """Run a mutation in a transaction of its own; return its result, and what a hook has raised since it committed.

    Raises what the mutation raises.
    """
    using, context = _alias_and_context(caller, Kind.MUTATION)
    database = database_for(using)
    retries, waits = 0, DoublingWait(first=FIRST_WAIT, longest=2.0)
    while True:
        attempt = Attempt(database, mutation.name)
        result = None
        try:
            with attempt.transaction():
                result = run_mutation_body(mutation, arguments, context, partial(getattr, attempt, "has_committed"))
        except Exception as error:
            if attempt.has_committed:
                return result, error
            if retries == RETRIES or _is_for_later(error) or not attempt.may_be_repeated(error):
                raise
            if database.is_lost(error):
                connections[using].close()
        else:
            return result, None
        retries += 1
        time.sleep(waits.next() * random.random())


def _is_for_later(error: Exception) -> bool:
    """Return whether the mutation has said when to try again, for which its caller does not wait."""
    return isinstance(error, TransientError) and error.after is not None


def run_action(caller: Context, function: AnyReference, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    action, arguments, context = _prepare_action(caller, function, args, kwargs)
    if action.is_async:
        if is_in_event_loop():
            raise RuntimeError(f"{action.name} is async, and awaited in async code: await ctx.arun_action(...).")
        return async_to_sync(run_async_body)(action, arguments, context)
    return run_body(action, arguments, context)


async def arun_mutation(caller: Context, function: AnyReference, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return await sync_to_async(run_mutation)(caller, function, args, kwargs)


async def arun_action(caller: Context, function: AnyReference, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    action, arguments, context = _prepare_action(caller, function, args, kwargs)
    if action.is_async:
        return await run_async_body(action, arguments, context)
    return await sync_to_async(run_body)(action, arguments, context)


def run_mutation_body(
    mutation: AnyFunction, arguments: dict[str, object], context: Context, has_committed: Callable[[], bool]
) -> Any:
    """Call a mutation; what its ``ctx`` does is part of the transaction that is open now, or is refused."""
    assert context.running is not None
    with OwnTransaction(mutation.name, connections[context.running.using], has_committed) as own:
        try:
            return run_body(mutation, arguments, context.bound_to(replace(context.running, transaction=own)))
        except TransientError as error:
            error.is_of_called_mutation = True
            raise


def run_body(function: AnyFunction, arguments: dict[str, object], context: Context) -> Any:
    """Call the function; while it runs, the imported ``ctx`` is bound to it."""
    token = running.set(context.running)
    try:
        return function.body(context, **arguments)
    finally:
        running.reset(token)


async def run_async_body(function: AnyFunction, arguments: dict[str, object], context: Context) -> Any:
    """Call a coroutine function, as ``run_body`` calls others."""
    token = running.set(context.running)
    try:
        return await function.body(context, **arguments)
    finally:
        running.reset(token)


def _resolve(function: AnyReference, kind: Kind) -> AnyFunction:
    resolved = resolve(function)
    if resolved.kind is not kind:
        raise FunctionNotFound(
            f"{resolved.name} is not {kind.with_article} but {resolved.kind.with_article}: call it with"
            f" run_{resolved.kind.value}."
        )
    return resolved


def _alias_and_context(caller: Context, kind: Kind) -> tuple[str, Context]:
    current = caller.running
    if current is None:
        current = Running(kind=kind, using=router.db_for_write(ScheduledFunction))
    return current.using, caller.bound_to(replace(current, kind=kind))


def _prepare_action(
    caller: Context, function: AnyReference, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[AnyFunction, dict[str, object], Context]:
    action = _resolve(function, Kind.ACTION)
    if caller.running is not None and caller.running.kind is Kind.MUTATION:
        raise SchedulerError(
            f"The action {action.name} cannot run inside a mutation, whose transaction would wait for it. Schedule"
            f" it to run once the mutation has committed: ctx.scheduler.run_after(0, {action.last_name}, ...)."
        )
    _, context = _alias_and_context(caller, Kind.ACTION)
    return action, action.bind(args, kwargs), context
