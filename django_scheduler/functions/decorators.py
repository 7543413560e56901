"""Decorators make functions that can be scheduled: ``@mutation``, ``@action``, and the two for internal functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, overload

from django_scheduler.functions.function import Action, AnyFunction, Mutation
from django_scheduler.functions.options import Options
from django_scheduler.functions.registry import registry
from django_scheduler.suggestions import refuse_unknown_options

if TYPE_CHECKING:
    from django_scheduler.context import Context


P = ParamSpec("P")
R = TypeVar("R")
OptionsP = ParamSpec("OptionsP")


class MutationDecorator(Protocol[OptionsP]):
    """Is written alone, ``@mutation``, or with options, ``@mutation(queue="email")``."""

    @overload
    def __call__(
        self, /, *args: OptionsP.args, **options: OptionsP.kwargs
    ) -> Callable[[Callable[Concatenate[Context, P], R]], Mutation[P, R]]: ...
    @overload
    def __call__(self, body: Callable[Concatenate[Context, P], R], /) -> Mutation[P, R]: ...


class ActionDecorator(Protocol[OptionsP]):
    """Is written alone, ``@action``, or with options, ``@action(queue="email")``."""

    @overload
    def __call__(
        self, /, *args: OptionsP.args, **options: OptionsP.kwargs
    ) -> Callable[[Callable[Concatenate[Context, P], R]], Action[P, R]]: ...
    @overload
    def __call__(self, body: Callable[Concatenate[Context, P], R], /) -> Action[P, R]: ...


def _mutations(
    options_of: Callable[OptionsP, Options], *, public: bool, explanation: str
) -> MutationDecorator[OptionsP]:
    """Return a decorator that makes mutations of functions."""
    name = "mutation" if public else "internal_mutation"
    return cast("MutationDecorator[OptionsP]", _decorator(options_of, Mutation, name, public, explanation))


def _actions(options_of: Callable[OptionsP, Options], *, public: bool, explanation: str) -> ActionDecorator[OptionsP]:
    """Return a decorator that makes actions of functions."""
    name = "action" if public else "internal_action"
    return cast("ActionDecorator[OptionsP]", _decorator(options_of, Action, name, public, explanation))


def _decorator(
    options_of: Callable[OptionsP, Options],
    kind: type[Mutation[..., Any] | Action[..., Any]],
    name: str,
    public: bool,
    explanation: str,
) -> object:
    """Return a decorator that takes what ``options_of`` takes, and nothing else, also for type checkers."""
    known = list(inspect.signature(options_of).parameters)

    def decorate(body: Callable[..., Any] | None = None, /, *args: OptionsP.args, **kwargs: OptionsP.kwargs) -> Any:
        refuse_unknown_options(f"@{name}", kwargs, known)
        try:
            options = options_of(*args, **kwargs)
        except TypeError as error:
            raise TypeError(str(error).replace("Options.__init__", name)) from None

        def make(body: Callable[..., Any]) -> AnyFunction:
            function: AnyFunction = kind(body, public=public, options=options)
            registry.add(function)
            return function

        return make if body is None else make(body)

    decorator: Any = decorate
    decorator.__name__ = decorator.__qualname__ = name
    decorator.__doc__ = explanation + _OPTIONS
    decorator.__signature__ = inspect.signature(options_of).replace(return_annotation=inspect.Signature.empty)
    return decorator


_, _, _EACH_OPTION = (Options.__doc__ or "").partition("\n\n")
_OPTIONS = f"""

{_EACH_OPTION}
    Raises ``ImproperlyConfigured`` if the function could not be executed as it is.
    """

mutation = _mutations(
    Options,
    public=True,
    explanation="""Make a function whose effects on the database happen exactly once.

    It runs inside one transaction together with the record of its completion. When its executor dies or the
    database reports a transient error, the transaction has vanished and the function runs again by itself.
    What it does outside of that database (mail, HTTP, files) may therefore happen more than once: schedule
    an action for that. Clients may call a public mutation.""",
)
internal_mutation = _mutations(Options, public=False, explanation="Make a ``mutation`` that no client may call.")
action = _actions(
    Options,
    public=True,
    explanation="""Make a function whose body starts at most once; it may do anything, and may be async.

    It runs outside of any transaction and is never run again by itself: when its executor dies half-way it is
    recorded as ``failed`` with the failure ``lost``, because nobody can know how far it came. Only one that declares
    ``retry`` or ``idempotent``, or raises ``TransientError``, starts again. Clients may call a public action.""",
)
internal_action = _actions(Options, public=False, explanation="Make an ``action`` that no client may call.")
