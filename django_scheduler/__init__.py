"""Schedule functions inside a transaction: durably, and if and only if it commits.

The public names are imported when they are first asked for, because Django imports this package before
models can be. ``docs/architecture.md`` tells what each file and folder here is.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from django_scheduler.context import Context, ctx
    from django_scheduler.functions import action, api, internal, internal_action, internal_mutation, mutation
    from django_scheduler.models import ScheduledFunctionId

__all__ = [
    "Context",
    "ScheduledFunctionId",
    "action",
    "api",
    "ctx",
    "internal",
    "internal_action",
    "internal_mutation",
    "mutation",
]

#: The modules of the names that are not in ``functions``.
_MODULES = {"Context": "context", "ScheduledFunctionId": "models", "ctx": "context"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'functions')}"), name)
