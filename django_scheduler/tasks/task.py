"""What ``@task`` makes where this backend is the task's: Django's task, and of which kind it is."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from django.tasks import Task
from django.tasks.exceptions import InvalidTask

from django_scheduler.models import Kind

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
