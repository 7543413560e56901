"""The fleet: workers of another system, which execute in place of executors where ``EXECUTOR`` names them.

* ``hand_over.py`` sends due functions to them, and explains why neither guarantee depends on it.
* ``worker.py`` is the task that they are sent.

Without a fleet neither of them is imported: they need the executor, which a process that only schedules does not.
"""

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from django_scheduler.conf import NAME, get_settings
from django_scheduler.scheduling import enqueue

__all__ = ["register"]

_is_registered = False


def register() -> None:
    """Hand due functions over from now on if ``EXECUTOR`` names a fleet, and define the task for it.

    Called when Django starts, and again when a test changes the setting.

    Raises ``ImproperlyConfigured`` if there cannot be such a fleet.
    """
    global _is_registered
    try:
        name = get_settings().fleet
    except ImproperlyConfigured:
        return  # which the checks explain better
    if name is None and not _is_registered:
        return
    if name is not None and django.VERSION < (6, 0):
        raise ImproperlyConfigured(
            f"DJANGO_SCHEDULER['EXECUTOR'] is 'tasks:{name}', and django.tasks came with Django 6.0; this is Django"
            f" {django.get_version()}. Leave it out, and let runscheduler execute."
        )
    from django_scheduler.executor import execute_with
    from django_scheduler.fleet.hand_over import Fleet, HandOver

    _is_registered = name is not None
    enqueue.hand_over_to(None if name is None else Fleet())
    execute_with(None if name is None else HandOver)
    if name is not None:
        from django_scheduler.fleet import worker  # noqa: F401


def _register_again(setting: str, **kwargs: object) -> None:
    if setting == NAME:
        register()


setting_changed.connect(_register_again)
