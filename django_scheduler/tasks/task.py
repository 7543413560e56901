"""``@task`` makes these tasks where its backend is ours; each is found by its name, and takes plain JSON."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from django.tasks import Task
from django.utils.module_loading import import_string

from django_scheduler.functions import LIMIT_OPTIONS, Concurrency, RateLimit, Retry, problem_of_key, problem_of_limit
from django_scheduler.telemetry import warn
from django_scheduler.transactions import Backoff

if TYPE_CHECKING:
    AnyTask = Task[..., Any]
else:
    AnyTask = Task


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerTask(AnyTask):
    """``@task`` makes it where the task's backend is ours: Django's task, and of which kind it is.

    ``kind``: ``"action"`` (its body starts at most once) or ``"mutation"`` (its effects on the database happen
    exactly once). ``max_attempts``: how often it is tried, if it raises; ``backoff``: how long it waits before each
    further attempt. ``concurrency``: how many of its bodies run at once; ``rate_limit``: how many begin within a
    period. Default of each: what the backend's ``OPTIONS`` say.

    Example, with Django 6.1 (6.0's decorator takes no further options: there the backend says it)::

        @task(kind="mutation", max_attempts=5)
        def settle(order_id): ...
    """

    kind: str | None = None
    max_attempts: int | None = None
    backoff: Backoff | None = None
    concurrency: Concurrency | None = None
    rate_limit: RateLimit | None = None


def retry_of(task: AnyTask) -> Retry | None:
    """Return how a task is tried again; ``None``: not at all.

    Raises ``TypeError`` or ``ValueError`` for numbers that cannot be.
    """
    given = _given(task, "max_attempts", "backoff")
    return Retry(**given) if "max_attempts" in given else None


class Limits(NamedTuple):
    """Says how many bodies of a task run at once, and begin within a period; ``None``: any number."""

    concurrency: Concurrency | None
    rate_limit: RateLimit | None


def limits_of(task: AnyTask) -> Limits:
    """Return the limits of a task.

    Raises ``TypeError`` or ``ValueError`` for one that cannot be.
    """
    limits = _given(task, *LIMIT_OPTIONS)
    for option, limit in limits.items():
        if problem := problem_of_limit(option, limit):
            raise TypeError(problem)
        if problem := problem_of_key(limit.parameters, parameters_of(task)):
            raise ValueError(f"{option}=: {problem}")
    return Limits(**{option: limits.get(option) for option in LIMIT_OPTIONS})


def parameters_of(task: AnyTask) -> dict[str, inspect.Parameter]:
    """Return the parameters of a task, without that for its context."""
    parameters = list(inspect.signature(task.func).parameters.items())
    return dict(parameters[1:] if task.takes_context else parameters)


def _given(task: AnyTask, *names: str) -> dict[str, Any]:
    """Return the options of these names that a task has, or else its backend."""
    try:
        options: Mapping[str, Any] = task.get_backend().options
    except Exception:  # the alias has gone from the settings since
        options = {}
    values = {name: getattr(task, name, None) or options.get(name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def with_values(task: AnyTask, **values: Any) -> AnyTask:
    """Return the task with other values.

    They are not validated: what has been enqueued stays what it is, whatever the settings say now.
    """
    copy: AnyTask = object.__new__(type(task))
    for field in fields(task):
        object.__setattr__(copy, field.name, values.get(field.name, getattr(task, field.name)))
    return copy


def find_task(name: str) -> AnyTask | None:
    """Return the task whose dotted name it is, or ``None`` if there is none.

    It is found as Django finds it, by importing what its name says. Only what has been enqueued is on record, so only
    a task's own module is ever imported.
    """
    if ":" in name:
        return None
    try:
        task = import_string(name)
    except (Exception, SystemExit) as error:
        warn("There is no task %s: %s: %s", name, type(error).__name__, error)
        return None
    return task if isinstance(task, Task) else None


def as_plain(value: Any) -> Any:
    """Return JSON in which no subclass of ``str``, ``int`` or ``float`` is left, such as a ``SafeString``.

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
