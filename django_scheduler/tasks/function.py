"""A task is executed as a function, where the name on record is the dotted name of a task.

Tasks are not registered; they are found by their names (``task.py``). What cannot be found, or is no task any more, is
``missing``.

A task has no kind of its own, so it is executed as the kind that it was enqueued as: a deployment that changes the
kind changes no promise that has been given.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache, update_wrapper
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.tasks import TaskContext
from django.tasks.exceptions import InvalidTask
from django.tasks.signals import task_started
from django.utils.json import normalize_json

from django_scheduler import values
from django_scheduler.databases import database_for
from django_scheduler.errors import InvalidArguments
from django_scheduler.functions import Function, Options, Retry, why_not_bound
from django_scheduler.models import Kind, ScheduledFunction
from django_scheduler.tasks.result import announce, running_result
from django_scheduler.tasks.task import AnyTask, Limits, as_plain, find_task, limits_of, parameters_of, retry_of
from django_scheduler.telemetry import warn
from django_scheduler.values import JSONValue

if TYPE_CHECKING:
    from django_scheduler.context import Context


def find_function(name: str, kind: str) -> TaskFunction | None:
    """Return the function as which the task of that name is executed, or ``None`` if there is none.

    ``kind``: the one on record. It is logged if the task cannot be executed as that any more.
    """
    task = find_task(name)
    try:
        return function_of(task, Kind(kind)) if task else None
    except (ImproperlyConfigured, TypeError, ValueError) as error:
        warn("The task %s cannot be executed as the %s that it was enqueued as: %s", name, kind, error)
        return None


def function_of(task: AnyTask, kind: Kind) -> TaskFunction:
    """Return the function as which a task is scheduled: with its queue, its priority, its retries and its limits.

    Raises ``TypeError`` or ``ValueError`` for what cannot be.
    """
    return _function_of(task, kind, retry_of(task), limits_of(task))


@lru_cache(maxsize=1024)
def _function_of(task: AnyTask, kind: Kind, retry: Retry | None, limits: Limits) -> TaskFunction:
    return TaskFunction(task, kind, retry, limits)


class TaskFunction(Function[..., Any]):
    """Is a task that is scheduled as a function, whose arguments hold the task's own, by position and by name."""

    def __init__(self, task: AnyTask, kind: Kind, retry: Retry | None, limits: Limits) -> None:
        self.task = task
        super().__init__(
            _body_of(task, kind),
            kind=kind,
            public=False,
            options=Options(queue=task.queue_name, priority=task.priority, retry=retry),
        )
        update_wrapper(self, task.func, updated=())
        # Their keys name the task's own arguments, and not those that hold them.
        self.concurrency, self.rate_limit = limits

    @cached_property
    def name(self) -> str:
        """Return the task's dotted name."""
        return self.task.module_path

    def bind(self, args: tuple[object, ...], kwargs: dict[str, Any]) -> dict[str, object]:
        """Return the arguments by name.

        Raises ``InvalidArguments`` also if the task's own arguments do not fit the task.
        """
        arguments = super().bind(args, kwargs)
        context = [None] if self.task.takes_context else []
        try:
            self._signature_of_task.bind(*context, *kwargs["args"], **kwargs["kwargs"])
        except TypeError as error:
            signature, given = self._signature_of_task, [*context, *kwargs["args"]]
            raise InvalidArguments(why_not_bound(self.name, signature, given, kwargs["kwargs"], error)) from None
        return arguments

    @property
    def declared_parameters(self) -> Mapping[str, inspect.Parameter]:
        return self._parameters

    @cached_property
    def _parameters(self) -> Mapping[str, inspect.Parameter]:
        return parameters_of(self.task)

    def arguments_by_name(self, stored: dict[str, JSONValue]) -> dict[str, JSONValue]:
        match stored:
            case {"args": list(args), "kwargs": dict(kwargs)}:
                return {**dict(zip(self._positional_names, args, strict=False)), **kwargs}
        return {}

    def fair_key_in(self, queue: str) -> str | None:
        return None  # its parameters are those by which it holds the task's own arguments

    @cached_property
    def _positional_names(self) -> list[str]:
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return [name for name, each in self.declared_parameters.items() if each.kind in positional]

    def names_by_position(self, number: int) -> list[str] | None:
        names = [*self._positional_names]
        for each in self.declared_parameters.values():
            if each.kind is inspect.Parameter.VAR_POSITIONAL:
                names += [each.name] * max(0, number - len(names))
        return names[:number] if number <= len(names) else None

    @cached_property
    def _signature_of_task(self) -> inspect.Signature:
        return inspect.signature(self.task.func)


def _body_of(task: AnyTask, kind: Kind) -> Callable[..., Any]:
    def run(ctx: Context, *, args: list[Any], kwargs: dict[str, Any], backend: str, run_after: Any = None) -> Any:
        context = _start(ctx, task)
        return _storable(task.func(*context, *args, **kwargs))

    async def arun(
        ctx: Context, *, args: list[Any], kwargs: dict[str, Any], backend: str, run_after: Any = None
    ) -> Any:
        context = await sync_to_async(_start)(ctx, task)
        return _storable(await task.func(*context, *args, **kwargs))

    def refuse(ctx: Context, *, args: list[Any], kwargs: dict[str, Any], backend: str, run_after: Any = None) -> Any:
        raise InvalidTask(
            f"{task.module_path} is async now, and was enqueued as a mutation, which is a plain function because"
            " Django's transactions are synchronous. Make it a plain function again, and run this again."
        )

    if not iscoroutinefunction(task.func):
        return run
    return arun if kind is Kind.ACTION else refuse


def _start(ctx: Context, task: AnyTask) -> list[TaskContext[..., Any]]:
    """Announce that the task has started; return its context if it takes one."""
    running = ctx.running
    assert running is not None  # an executor's context is bound to what it executes
    assert running.function_id is not None
    rows = ScheduledFunction.objects.using(running.using).annotate(now=database_for(running.using).now())
    row: Any = rows.get(pk=running.function_id)
    result = running_result(row, task, running, row.now)
    announce(task_started, result, running.using)
    return [TaskContext(task_result=result)] if task.takes_context else []


def _storable(returned: object) -> Any:
    """Return what a task has returned as plain JSON, all of which goes on record.

    Raises ``TypeError`` or ``ValueError`` if it is no JSON, or too large: the task has failed, as with any backend.
    """
    value = as_plain(normalize_json(returned))
    if value is not None and values.dump_result(value).startswith(values.REPR):
        raise ValueError("What the task returned cannot be stored: it is too large, or nested too deeply.")
    return value
