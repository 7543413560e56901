"""Methods that take a function and its arguments: type checkers see each as taking the arguments of that function.

What they see stands in ``django_scheduler_functions``, a stub beside this package, as a protocol for each of the
decorators below. The one that is installed knows the arguments of decorated functions, and takes any reference and any
name. ``manage.py scheduler_stubs`` writes one into a project, which also knows what the references and names of that
project stand for; type checkers find the project's first. At run time there is no such module, and a decorator here
returns the method as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar, cast

from django_scheduler.models import Kind

if TYPE_CHECKING:
    from django_scheduler.context import Context
    from django_scheduler_functions import (
        CancelsAll,
        OpensBatch,
        RegistersCron,
        RunsAction,
        RunsActionAsync,
        RunsMutation,
        RunsMutationAsync,
        Schedules,
        SchedulesMany,
        TakesOptions,
    )

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
When = TypeVar("When")
Result = TypeVar("Result")
Outcome_contra = TypeVar("Outcome_contra", contravariant=True)


def schedules(method: Callable[Concatenate[Any, When, Any, ...], Result]) -> Schedules[When, Result]:
    """Type a method that takes when a function is to run, the function, and its arguments."""
    return cast("Schedules[When, Result]", method)


def schedules_many(method: Callable[[Any, When, Any, Any], Result]) -> SchedulesMany[When, Result]:
    """Type a method that takes when a function is to run, the function, and its arguments for each time."""
    return cast("SchedulesMany[When, Result]", method)


def registers_cron(method: Callable[..., Result]) -> RegistersCron[Result]:
    """Type what takes the name of a cron, its schedule, a function, and its arguments."""
    return cast("RegistersCron[Result]", method)


def runs_mutation(method: Callable[..., object]) -> RunsMutation:
    """Type a method that takes a mutation and its arguments, and returns what it returns."""
    return cast("RunsMutation", method)


def runs_mutation_async(method: Callable[..., object]) -> RunsMutationAsync:
    """Type the async twin of such a method."""
    return cast("RunsMutationAsync", method)


def runs_action(method: Callable[..., object]) -> RunsAction:
    """Type a method that takes an action and its arguments, and returns what it returns."""
    return cast("RunsAction", method)


def runs_action_async(method: Callable[..., object]) -> RunsActionAsync:
    """Type the async twin of such a method."""
    return cast("RunsActionAsync", method)


def takes_options(method: Callable[..., Result]) -> TakesOptions[Result]:
    """Type a method that takes the options of a call, of which some are functions with arguments."""
    return cast("TakesOptions[Result]", method)


def opens_batch(method: Callable[..., Result]) -> OpensBatch[Result]:
    """Type a method that takes what follows a batch: a function, or one with arguments."""
    return cast("OpensBatch[Result]", method)


def cancels_all(method: Callable[..., Result]) -> CancelsAll[Result]:
    """Type a method that takes a function and some of its arguments, as a dict."""
    return cast("CancelsAll[Result]", method)


# What type checkers compare functions with, of which a reference says no more than its shape. That they have a kind
# tells them from functions that are not decorated.


class IsFunction(Protocol):
    @property
    def kind(self) -> Kind: ...


class IsMutation(Protocol):
    @property
    def kind(self) -> Literal[Kind.MUTATION]: ...


class IsAction(Protocol):
    @property
    def kind(self) -> Literal[Kind.ACTION]: ...


class FunctionOf(IsFunction, Protocol[P, R_co]):
    """Is called with these arguments, and returns this."""

    def __call__(self, ctx: Context, /, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


class MutationOf(IsMutation, Protocol[P, R_co]):
    def __call__(self, ctx: Context, /, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


class ActionOf(IsAction, Protocol[P, R_co]):
    def __call__(self, ctx: Context, /, *args: P.args, **kwargs: P.kwargs) -> R_co: ...


class TakesOutcome(IsFunction, Protocol[Outcome_contra]):
    """Is a function that needs nothing but how another one, or a batch, has ended."""

    def __call__(self, ctx: Context, /, *, outcome: Outcome_contra) -> object: ...
