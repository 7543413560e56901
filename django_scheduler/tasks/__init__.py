"""The backend for Django's own tasks (``django.tasks``, Django 6.0 and newer)::

    TASKS = {"default": {"BACKEND": "django_scheduler.tasks.SchedulerBackend"}}

A task is scheduled as any function is, and is on record under its own dotted name.

* ``backend.py`` enqueues tasks.
* ``task.py`` is what ``@task`` makes, and finds it by its name.
* ``function.py`` is the function as which a task is executed.
* ``result.py`` says what became of it, and sends Django's signals.

Without a backend of ours in ``TASKS`` no end of a function is announced to Django, and nobody asks for it. With Django
5.2, which has no tasks, this package can be imported, and ``SchedulerBackend`` says why it cannot.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

import django
from django.conf import settings
from django.core.signals import setting_changed

if TYPE_CHECKING:
    from django_scheduler.tasks.backend import SchedulerBackend
    from django_scheduler.tasks.task import AnyTask, SchedulerTask

__all__ = ["AnyTask", "SchedulerBackend", "SchedulerTask", "register"]

#: The dotted paths of the backend.
OURS = ("django_scheduler.tasks.SchedulerBackend", "django_scheduler.tasks.backend.SchedulerBackend")

HAS_TASKS = django.VERSION >= (6, 0)

_MODULES = {"AnyTask": "task", "SchedulerBackend": "backend", "SchedulerTask": "task"}


def register() -> None:
    """Have tasks on record executed from now on, and their end announced if ``TASKS`` has a backend of ours.

    Called when Django starts, and again when a test changes the setting.
    """
    if not HAS_TASKS:
        return
    from django_scheduler.functions import registry
    from django_scheduler.signals import function_finished
    from django_scheduler.tasks.function import find_function
    from django_scheduler.tasks.result import announce_end

    # Asked only for a name that no registered function has. A task that is pending is executed even if its backend is
    # gone from the setting.
    registry.use_source(find_function)
    if any(map(_is_ours, settings.TASKS.values())):
        function_finished.connect(announce_end)
    else:
        function_finished.disconnect(announce_end)


def _is_ours(backend: object) -> bool:
    """Return whether a backend is ours, without importing any: others may be slow to import, or fail.

    One that is made from ours says so itself when Django makes it: see ``SchedulerBackend``.
    """
    return isinstance(backend, Mapping) and backend.get("BACKEND") in OURS


def _register_again(setting: str, **kwargs: object) -> None:
    if setting == "TASKS":
        register()


setting_changed.connect(_register_again)


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not HAS_TASKS:
        raise ImportError(
            f"{__name__}.{name} needs django.tasks, which came with Django 6.0; this is Django"
            f" {django.get_version()}. Decorate your functions with @mutation or @action instead, or upgrade Django."
        )
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
