"""Schedule functions inside a transaction: durably, and if and only if it commits.

The public names are imported when they are first asked for, because Django imports this package before
models can be. ``docs/architecture.md`` tells what each file and folder here is. An installed package has these pages in
its own folder ``docs``, beginning with ``docs/index.md``.
"""

from importlib import import_module

__version__ = "0.1.0"

#: False, which type checkers do not know. Of modules that import each other in a circle, mypy looks first at those that
#: import the fewest, and imports under ``TYPE_CHECKING`` count the least. A project whose stub imports its types makes
#: such a circle: these count, so that what its modules import from here is known before they are looked at.
_NEVER = bool()  # noqa: UP018 (a type checker knows what a literal is)

if _NEVER:
    from django_scheduler.context import Context, ctx
    from django_scheduler.functions import (
        Action,
        Concurrency,
        Mutation,
        RateLimit,
        Retry,
        action,
        api,
        internal,
        internal_action,
        internal_mutation,
        mutation,
    )
    from django_scheduler.models import ScheduledFunctionId
    from django_scheduler.record import BatchOutcome, Outcome
    from django_scheduler.scheduling import InterventionResult
    from django_scheduler.transactions import Backoff

__all__ = [
    "Action",
    "Backoff",
    "BatchOutcome",
    "Concurrency",
    "Context",
    "InterventionResult",
    "Mutation",
    "Outcome",
    "RateLimit",
    "Retry",
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
_MODULES = {
    "Backoff": "transactions",
    "BatchOutcome": "record",
    "Context": "context",
    "InterventionResult": "scheduling",
    "Outcome": "record",
    "ScheduledFunctionId": "models",
    "ctx": "context",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'functions')}"), name)
