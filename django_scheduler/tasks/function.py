"""The arguments of a task: JSON, as Django has it.

What ``@task`` makes where this backend is the task's: Django's task, and of which kind it is.

A task as a function: what an executor runs when a row bears the dotted name of a task.

Tasks are not registered. They are found as Django finds them, by importing what their name says; only what has been
enqueued gets a row, so only a task's own module is ever imported. What cannot be found, or is no task any more, is
``missing``.

A task has no kind of its own, so it is executed as the kind that it was enqueued as: a deployment that changes the
kind changes no promise that has been given.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields
from enum import Enum
from functools import cached_property, lru_cache, update_wrapper
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.tasks import Task, TaskContext
from django.tasks.exceptions import InvalidTask
from django.tasks.signals import task_started
from django.utils.json import normalize_json
from django.utils.module_loading import import_string

from django_scheduler import values
from django_scheduler.databases import database_for
from django_scheduler.errors import InvalidArguments
from django_scheduler.functions import Function
from django_scheduler.models import Kind, ScheduledFunction
from django_scheduler.tasks.announce import announce
from django_scheduler.tasks.result import running_result
from django_scheduler.telemetry import warn

if TYPE_CHECKING:
    from django_scheduler.context import Context


def as_plain(value: Any) -> Any:
    """JSON in which no subclass of ``str``, ``int`` or ``float`` is left, such as a ``SafeString``.

    They go into JSON as what they are subclasses of. An enum's member does not: it is stored as one, and comes back.
    """
    match value:
        case None | bool() | Enum():
            return value
        case str():
            return "".join(value)
        case int():
            return int(value)
        case float():
            return float(value)
        case list():
            return [as_plain(item) for item in value]
        case dict():
            return {as_plain(key): as_plain(item) for key, item in value.items()}
        case _:
            return value


if TYPE_CHECKING:
    AnyTask = Task[..., Any]
else:
    AnyTask = Task


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerTask(AnyTask):
    """A task of Django's that can be a mutation.

    ``kind``: ``"action"`` (its body starts at most once) or ``"mutation"`` (its effects on the database happen
    exactly once); default: what the backend's ``OPTIONS`` say.

    Example, with Django 6.1 (6.0's decorator takes no further options: there the backend says it)::

        @task(kind="mutation")
        def settle(order_id): ...
    """

    kind: str | None = None


def kind_named(name: object) -> Kind:
    """Raises ``InvalidTask`` if there is no such kind."""
    if name not in Kind.values:
        raise InvalidTask(f"kind must be {' or '.join(map(repr, Kind.values))}, not {name!r}.")
    return Kind(name)


def with_values(task: AnyTask, **values: Any) -> AnyTask:
    """The task with other values, not validated: what has been enqueued stays what it is, whatever settings now say."""
    copy: AnyTask = object.__new__(type(task))
    for field in fields(task):
        object.__setattr__(copy, field.name, values.get(field.name, getattr(task, field.name)))
    return copy


LONGEST_NAME = 255


def find_task(name: str) -> AnyTask | None:
    """The task whose dotted name it is, or ``None`` if there is none."""
    if ":" in name:
        return None
    try:
        task = import_string(name)
    except (Exception, SystemExit) as error:
        warn("There is no task %s: %s: %s", name, type(error).__name__, error)
        return None
    return task if isinstance(task, Task) else None


def find_function(name: str, kind: str) -> TaskFunction | None:
    """The function as which the task of that name is executed; ``None`` also if the task can be none any more."""
    task = find_task(name)
    try:
        return function_of(task, Kind(kind)) if task else None
    except ImproperlyConfigured as error:
        warn("The task %s cannot be executed as the %s that it was enqueued as: %s", name, kind, error)
        return None


@lru_cache(maxsize=1024)
def function_of(task: AnyTask, kind: Kind) -> TaskFunction:
    """The function as which a task is scheduled: with its queue and its priority."""
    return TaskFunction(task, kind)


class TaskFunction(Function[..., Any]):
    """A task that can be scheduled. The arguments that it is stored with hold the task's own, by position and name."""

    def __init__(self, task: AnyTask, kind: Kind) -> None:
        self.task = task
        super().__init__(
            _body_of(task, kind),
            kind=kind,
            public=False,
            name=None,
            queue=task.queue_name,
            priority=task.priority,
        )
        update_wrapper(self, task.func, updated=())

    @cached_property
    def name(self) -> str:
        """The task's dotted name."""
        return self.task.module_path

    def bind(self, args: tuple[object, ...], kwargs: dict[str, Any]) -> dict[str, object]:
        """Raises ``InvalidArguments`` also if the task's own arguments do not fit the task."""
        arguments = super().bind(args, kwargs)
        context = [None] if self.task.takes_context else []
        try:
            self._signature_of_task.bind(*context, *kwargs["args"], **kwargs["kwargs"])
        except TypeError as error:
            signature = self._signature_of_task
            raise InvalidArguments(f"{self.name}{signature} cannot be called like this: {error}.") from None
        return arguments

    @cached_property
    def _signature_of_task(self) -> inspect.Signature:
        return inspect.signature(self.task.func)


def _body_of(task: AnyTask, kind: Kind) -> Any:
    if not iscoroutinefunction(task.func):
        return _body(task)
    return _async_body(task) if kind is Kind.ACTION else _refusing_body(task)


def _refusing_body(task: AnyTask) -> Any:
    def refuse(ctx: Context, *, args: list[Any], kwargs: dict[str, Any], backend: str, run_after: Any = None) -> Any:
        raise InvalidTask(
            f"{task.module_path} is async now, and was enqueued as a mutation, which is a plain function because"
            " Django's transactions are synchronous. Make it a plain function again, and run this again."
        )

    return refuse


def _body(task: AnyTask) -> Any:
    def run_task(ctx: Context, *, args: list[Any], kwargs: dict[str, Any], backend: str, run_after: Any = None) -> Any:
        context = _start(ctx, task)
        returned = task.func(*context, *args, **kwargs)
        return _refuse_what_cannot_be_stored(returned)

    return run_task


def _async_body(task: AnyTask) -> Any:
    async def run_task(
        ctx: Context, *, args: list[Any], kwargs: dict[str, Any], backend: str, run_after: Any = None
    ) -> Any:
        context = await sync_to_async(_start)(ctx, task)
        returned = await task.func(*context, *args, **kwargs)
        return _refuse_what_cannot_be_stored(returned)

    return run_task


def _start(ctx: Context, task: AnyTask) -> list[TaskContext[..., Any]]:
    """Say that the task has started; the context, for a task that takes it."""
    running = ctx.running
    assert running is not None  # an executor's context is bound to what it executes
    assert running.function_id is not None
    rows = ScheduledFunction.objects.using(running.using).annotate(now=database_for(running.using).now())
    row: Any = rows.get(pk=running.function_id)
    result = running_result(row, task, running, row.now)
    announce(task_started, result, running.using)
    return [TaskContext(task_result=result)] if task.takes_context else []


def _refuse_what_cannot_be_stored(returned: Any) -> Any:
    """What a task returns is JSON, and goes on record whole.

    Raises ``TypeError`` or ``ValueError`` otherwise: the task has failed, as with any backend.
    """
    value = as_plain(normalize_json(returned))
    if value is not None and values.dump_result(value).startswith(values.REPR):
        raise ValueError("What the task returned cannot be stored: it is too large, or nested too deeply.")
    return value
