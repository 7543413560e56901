"""Decorators make functions that can be scheduled: ``@mutation``, ``@action``, and the two for internal functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from django_scheduler.functions.function import AnyFunction, Function, Timeout
from django_scheduler.functions.registry import registry
from django_scheduler.models import Kind

if TYPE_CHECKING:
    from django_scheduler.context import Context


P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_QUEUE = "default"


class Decorator(Protocol):
    """Is written alone, ``@mutation``, or with options, ``@mutation(queue="email")``."""

    @overload
    def __call__(self, body: Callable[Concatenate[Context, P], R], /) -> Function[P, R]: ...
    @overload
    def __call__(
        self,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        priority: int = 0,
        alone: bool = False,
        timeout: timedelta | float | Timeout | None = Timeout.DEFAULT,
        aliases: Sequence[str] = (),
        admin: bool = True,
        rerun: bool = True,
    ) -> Callable[[Callable[Concatenate[Context, P], R]], Function[P, R]]: ...


def _decorator(kind: Kind, *, public: bool, explanation: str) -> Decorator:
    def decorate(
        body: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        priority: int = 0,
        alone: bool = False,
        timeout: timedelta | float | Timeout | None = Timeout.DEFAULT,
        aliases: Sequence[str] = (),
        admin: bool = True,
        rerun: bool = True,
    ) -> Any:
        def make(body: Callable[..., Any]) -> AnyFunction:
            function: AnyFunction = Function(
                body,
                kind=kind,
                public=public,
                name=name,
                queue=queue,
                priority=priority,
                alone=alone,
                timeout=timeout,
                aliases=aliases,
                admin=admin,
                rerun=rerun,
            )
            registry.add(function)
            return function

        return make if body is None else make(body)

    decorate.__name__ = decorate.__qualname__ = f"{'' if public else 'internal_'}{kind.value}"
    decorate.__doc__ = explanation
    return decorate


_OPTIONS = """

    ``name``: the last part of its name; default: the function's own. ``queue``: the executors that run it are
    those that serve this queue. ``priority``: among the due functions, the highest starts first. ``timeout``: how long
    it may run when it was scheduled, as a ``timedelta`` or a number of seconds, and ``None`` for ever (default: the
    setting ``MUTATION_TIMEOUT`` for a mutation, for ever for an action); then it is ``failed``, ``timeout``.
    ``alone`` (mutations only): it never shares its transaction with others that are due, whatever the backlog.
    ``aliases``: the names that it had before it was renamed, by which what is on record still finds it; those that it
    had in another app with that one's label, ``"orders:archive"``.
    ``admin``: whether people may choose it for a cron in the admin, run such a cron now, and run it again there;
    ``False``: only code schedules it.
    ``rerun``: whether people may run it again once it has ended; ``False`` refuses that.

    Raises ``ImproperlyConfigured`` if the function could not be executed as it is.
    """

mutation = _decorator(
    Kind.MUTATION,
    public=True,
    explanation="""Make a function whose effects on the database happen exactly once.

    It runs inside one transaction together with the record of its completion. When its executor dies or the
    database reports a transient error, the transaction has vanished and the function runs again by itself.
    What it does outside of that database (mail, HTTP, files) may therefore happen more than once: schedule
    an action for that. Clients may call a public mutation."""
    + _OPTIONS,
)
internal_mutation = _decorator(
    Kind.MUTATION, public=False, explanation="Make a ``mutation`` that no client may call." + _OPTIONS
)
action = _decorator(
    Kind.ACTION,
    public=True,
    explanation="""Make a function whose body starts at most once; it may do anything, and may be async.

    It runs outside of any transaction and is never run again by itself: when its executor dies half-way it is
    recorded as ``failed`` with the failure ``lost``, because nobody can know how far it came. Clients may
    call a public action."""
    + _OPTIONS,
)
internal_action = _decorator(
    Kind.ACTION, public=False, explanation="Make an ``action`` that no client may call." + _OPTIONS
)
