"""The task that fleet workers are sent executes the scheduled function with that id.

If ``EXECUTOR`` names a fleet, this is imported when Django starts, because most fleet workers must know their tasks by
then.
"""

from __future__ import annotations

from functools import cache

from django.core.exceptions import ImproperlyConfigured
from django.tasks import DEFAULT_TASK_QUEUE_NAME, task_backends
from django.tasks.exceptions import InvalidTaskBackend

from django_scheduler.conf import FLEET_PREFIX, get_settings
from django_scheduler.executor import execute
from django_scheduler.tasks import AnyTask, SchedulerBackend


def _execute(function_id: int, using: str) -> None:
    execute(function_id, using=using)


_execute.__name__ = _execute.__qualname__ = "execute_function"


@cache
def task_for(alias: str) -> AnyTask:
    """Return the task for the backend of that alias.

    Raises ``ImproperlyConfigured`` if there is no such backend, or if it is one of ours.
    """
    where = f"DJANGO_SCHEDULER['EXECUTOR'] is '{FLEET_PREFIX}{alias}'"
    try:
        backend = task_backends[alias]
    except InvalidTaskBackend as error:
        raise ImproperlyConfigured(f"{where}, and there is no such backend in TASKS: {error}") from error
    if isinstance(backend, SchedulerBackend):
        raise ImproperlyConfigured(f"{where}, which is a backend of django_scheduler: it would hand over to itself.")
    queues = backend.queues
    return backend.task_class(
        func=_execute,
        priority=0,
        backend=alias,
        queue_name=DEFAULT_TASK_QUEUE_NAME if not queues or DEFAULT_TASK_QUEUE_NAME in queues else min(queues),
        run_after=None,
        takes_context=False,
    )


#: A fleet worker finds it by its dotted name.
execute_function = task_for(alias) if (alias := get_settings().fleet) else None
