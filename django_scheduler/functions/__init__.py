"""TODO."""

from django_scheduler.functions.decorators import action, internal_action, internal_mutation, mutation
from django_scheduler.functions.function import AnyFunction, Function
from django_scheduler.functions.registry import Reference, api, internal, registry, resolve

__all__ = [
    "AnyFunction",
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
