"""Functions that can be scheduled: how they are made, registered and found.

* ``decorators.py`` has ``@mutation``, ``@action`` and the two for internal functions.
* ``function.py`` is what they make of a function, and refuses what could not be executed.
* ``options.py`` has the options that the decorators take, and ``retry.py`` and ``limits.py`` what some of them are.
* ``annotations.py`` says what parameters are annotated with.
* ``queues.py`` knows which queues there are.
* ``typed_methods.py`` types the methods that take a function and its arguments.
* ``registry.py`` finds functions by their names on record, and has ``api`` and ``internal``, which refer to them.
"""

from django_scheduler.functions.annotations import UNIONS, annotation_of, annotation_of_result, types_of_parameter
from django_scheduler.functions.decorators import action, internal_action, internal_mutation, mutation
from django_scheduler.functions.function import Action, AnyFunction, Function, Mutation, why_not_bound
from django_scheduler.functions.limits import (
    LIMIT_OPTIONS,
    LONGEST_WINDOW,
    MOST_SLOTS,
    MOST_STARTS,
    Concurrency,
    DeclaredLimit,
    RateLimit,
    is_rate,
    name_of_limit,
    problem_of_key,
    problem_of_limit,
    without_values,
)
from django_scheduler.functions.options import NOT_GIVEN, NotGiven, Options, problems_of_lane
from django_scheduler.functions.queues import declared_queues
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
from django_scheduler.functions.retry import Retry
from django_scheduler.functions.typed_methods import (
    ActionOf,
    FunctionOf,
    IsAction,
    IsMutation,
    MutationOf,
    TakesOutcome,
    cancels_all,
    opens_batch,
    registers_cron,
    runs_action,
    runs_action_async,
    runs_mutation,
    runs_mutation_async,
    schedules,
    schedules_many,
    takes_options,
)

__all__ = [
    "DISCOVERED_MODULES",
    "LIMIT_OPTIONS",
    "LONGEST_WINDOW",
    "MOST_SLOTS",
    "MOST_STARTS",
    "NOT_GIVEN",
    "UNIONS",
    "Action",
    "ActionOf",
    "AnyFunction",
    "AnyReference",
    "Concurrency",
    "DeclaredLimit",
    "Function",
    "FunctionOf",
    "IsAction",
    "IsMutation",
    "Mutation",
    "MutationOf",
    "NotGiven",
    "Options",
    "RateLimit",
    "Reference",
    "Retry",
    "TakesOutcome",
    "action",
    "annotation_of",
    "annotation_of_result",
    "api",
    "cancels_all",
    "declared_queues",
    "internal",
    "internal_action",
    "internal_mutation",
    "is_rate",
    "mutation",
    "name_of_limit",
    "opens_batch",
    "problem_of_key",
    "problem_of_limit",
    "problems_of_lane",
    "registers_cron",
    "registry",
    "resolve",
    "resolve_to_schedule",
    "runs_action",
    "runs_action_async",
    "runs_mutation",
    "runs_mutation_async",
    "schedules",
    "schedules_many",
    "takes_options",
    "types_of_parameter",
    "why_not_bound",
    "without_values",
]
