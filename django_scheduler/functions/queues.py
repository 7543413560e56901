"""Queues need not be declared: they are known by the functions and the settings that name them."""

from django.conf import settings

from django_scheduler.conf import get_settings
from django_scheduler.functions.registry import registry


def declared_queues() -> set[str]:
    """Return the queues that a function or a setting names. A call may name another one, as an option."""
    of_tasks = [each.get("QUEUES", ["default"]) for each in getattr(settings, "TASKS", {}).values()]
    max_lag = get_settings().MAX_LAG
    return {
        *(function.queue for function in registry),
        *(queue for each in of_tasks for queue in each),
        *(max_lag if isinstance(max_lag, dict) else ()),
    } - {""}
