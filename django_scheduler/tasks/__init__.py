"""The backend for Django's own tasks (``django.tasks``, Django 6.0 and newer)::

    TASKS = {"default": {"BACKEND": "django_scheduler.tasks.SchedulerBackend"}}

A task is scheduled as any function is, and is on record under its own dotted name: ``task.py`` is what ``@task``
makes, ``arguments.py`` what it may be given, ``backend.py`` enqueues it, ``function.py`` is the function as which it is
executed, and ``result.py`` reads what became of it. ``announce.py`` sends Django's signals, and ``finish.py`` the last.
``fleet.py`` is the other way round: the task by which somebody else's workers execute a function of ours.

With Django 5.2, which has no tasks, this package can be imported, and ``SchedulerBackend`` says why it cannot.
"""

from importlib import import_module
from typing import TYPE_CHECKING

import django

if TYPE_CHECKING:
    from django_scheduler.functions import AnyFunction
    from django_scheduler.tasks.backend import SchedulerBackend
    from django_scheduler.tasks.function import SchedulerTask

__all__ = ["SchedulerBackend", "SchedulerTask", "announce_end", "find_task_function"]

HAS_TASKS = django.VERSION >= (6, 0)

_HOMES = {"SchedulerBackend": "backend", "SchedulerTask": "function"}


def find_task_function(name: str, kind: str) -> "AnyFunction | None":
    """The task that a row means by its dotted name, as a function of that kind; ``None`` if there is none."""
    if not HAS_TASKS or ":" in name:
        return None
    from django_scheduler.tasks.function import find_function

    return find_function(name, kind)


def announce_end(name: str, function_id: int, using: str, **kwargs: object) -> None:
    """Send Django's ``task_finished`` where it was a task that has ended."""
    if not HAS_TASKS or ":" in name:
        return
    from django_scheduler.tasks.announce import announce_finish

    announce_finish(name, function_id, using)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not HAS_TASKS:
        raise ImportError(
            f"{__name__}.{name} needs django.tasks, which came with Django 6.0; this is Django"
            f" {django.get_version()}. Decorate your functions with @mutation or @action instead, or upgrade Django."
        )
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
