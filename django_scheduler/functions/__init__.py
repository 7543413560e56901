"""Functions that can be scheduled: how they are made, registered and found.

* ``decorators.py`` has ``@mutation``, ``@action`` and their internal twins.
* ``function.py`` is what they make of a function, and refuses what could not be executed.
* ``registry.py`` finds functions by their names on record.
* ``references.py`` has ``api`` and ``internal``, and resolves whatever names a function.
"""

from django_scheduler.functions.decorators import action, internal_action, internal_mutation, mutation
from django_scheduler.functions.function import AnyFunction, Function
from django_scheduler.functions.references import AnyReference, Reference, api, internal, resolve
from django_scheduler.functions.registry import registry

__all__ = [
    "AnyFunction",
    "AnyReference",
    "Function",
    "Reference",
    "action",
    "api",
    "internal",
    "internal_action",
    "internal_mutation",
    "mutation",
    "registry",
    "resolve",
]
