"""Handing due functions over to the workers that a site already has: ``EXECUTOR = "tasks:<alias>"``.

The fleet is any backend of Django's tasks: Celery, RQ, dramatiq, or another machine's workers. What it is sent is one
small task with the id of a function. It may be sent twice, late or never, and neither promise depends on it:

* The record decides. A worker claims the function by its id, only while it is pending, and executes it as an executor
  does (``executor/by_id.py``). So of two messages one finds nothing to do. A mutation whose worker dies is pending
  again; an action whose worker dies is recorded as lost, because its process is on record.
* What was handed over is due again after a while, ``HAND_OVER_TIMEOUT``: its ``due_time`` is moved ahead, in the
  transaction that schedules it or that claims it for the hand-over. Should the message get lost, or the worker die,
  ``runscheduler`` finds it due once more and hands it over once more. The longer that goes on, the longer the next
  wait, so that a fleet that is merely slow is not buried under messages.

Who hands over: what is due at once, the process that schedules it, after its transaction has committed. Everything
else, ``runscheduler``: it claims what is due as ever, and instead of executing it hands it over
(``executor/hand_over.py``). Without it nothing happens later than at once, and nothing that got lost comes back.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import django
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, transaction

from django_scheduler.conf import get_settings
from django_scheduler.log import report

if TYPE_CHECKING:
    from django_scheduler.functions import AnyFunction

PREFIX = "tasks:"

#: How much longer than ``HAND_OVER_TIMEOUT`` the wait becomes, at most.
LONGEST_WAIT = 10


def alias() -> str | None:
    """The alias in ``TASKS`` of the fleet that executes, or ``None`` where executors do it themselves."""
    executor = get_settings().EXECUTOR
    return executor.removeprefix(PREFIX) if executor else None


def register() -> None:
    """Make the task known that the fleet's workers are sent, when Django starts.

    Raises ``ImproperlyConfigured`` if there is no such fleet.
    """
    try:
        name = alias()
    except ImproperlyConfigured:
        return  # which the checks explain better
    if name is not None:
        if django.VERSION < (6, 0):
            raise ImproperlyConfigured(
                f"DJANGO_SCHEDULER['EXECUTOR'] is 'tasks:{name}', and django.tasks came with Django 6.0; this is Django"
                f" {django.get_version()}. Leave it out, and let runscheduler execute."
            )
        from django_scheduler.tasks import fleet  # noqa: F401


def time_to_begin() -> timedelta | None:
    """How long a function that is handed over now may take to begin; ``None`` where there is no fleet."""
    settings = get_settings()
    return settings.HAND_OVER_TIMEOUT if settings.EXECUTOR else None


def time_to_begin_again(age: timedelta) -> timedelta:
    """The same for a function that has been due for so long: the time doubles with each hand-over, up to a limit."""
    timeout = get_settings().HAND_OVER_TIMEOUT
    return min(max(timeout, age), LONGEST_WAIT * timeout)


def hand_over_after_commit(using: str, ids: Iterable[int], function: AnyFunction) -> None:
    """Hand over what has just been scheduled, once its transaction has committed."""
    connection = connections[using]
    if connection.in_atomic_block or connection.get_autocommit():
        for function_id in ids:
            hand = partial(
                hand_over, using, function_id, name=function.name, queue=function.queue, priority=function.priority
            )
            transaction.on_commit(hand, using=using, robust=True)


def hand_over(using: str, function_id: int, *, name: str, queue: str, priority: int) -> None:
    """Send a function to the fleet. If that fails it is logged, and the function is handed over again in time."""
    try:
        _send(using, function_id, queue, priority)
    except Exception as error:
        report(
            "%s %s could not be handed over to %s, which is tried again: %s: %s",
            name,
            function_id,
            get_settings().EXECUTOR,
            type(error).__name__,
            error,
            error=error,
            function=name,
            function_id=function_id,
        )


def _send(using: str, function_id: int, queue: str, priority: int) -> None:
    from django.tasks.base import TASK_MAX_PRIORITY, TASK_MIN_PRIORITY

    from django_scheduler.tasks.fleet import task_for

    backend_alias = alias()
    assert backend_alias is not None
    task: Any = task_for(backend_alias)
    values: dict[str, Any] = {"queue_name": queue}
    if task.get_backend().supports_priority:
        values["priority"] = min(max(priority, TASK_MIN_PRIORITY), TASK_MAX_PRIORITY)
    task.using(**values).enqueue(function_id, using)
