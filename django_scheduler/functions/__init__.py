"""Functions that can be scheduled: how they are made, registered and found.

* ``decorators.py`` has ``@mutation``, ``@action`` and the two for internal functions.
* ``function.py`` is what they make of a function, and refuses what could not be executed.
* ``options.py`` has the options that the decorators take.
* ``registry.py`` finds functions by their names on record, and has ``api`` and ``internal``, which refer to them.
"""

from django_scheduler.functions.decorators import action, internal_action, internal_mutation, mutation
from django_scheduler.functions.function import AnyFunction, Function, why_not_bound
from django_scheduler.functions.options import Options
from django_scheduler.functions.registry import (
    DISCOVERED_MODULES,
    AnyReference,
    Reference,
    api,
    internal,
    registry,
    resolve,
    resolve_to_schedule,
)

__all__ = [
    "DISCOVERED_MODULES",
    "AnyFunction",
    "AnyReference",
    "Function",
    "Options",
    "Reference",
    "action",
    "api",
    "internal",
    "internal_action",
    "internal_mutation",
    "mutation",
    "registry",
    "resolve",
    "resolve_to_schedule",
    "why_not_bound",
]
