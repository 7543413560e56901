"""These checks say which functions cannot be called with what is stored for them, or say of themselves what is not."""

import inspect
import types
import typing
from collections.abc import Iterable, Iterator
from datetime import timedelta
from enum import Enum
from typing import Any

from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.utils.functional import Promise

from django_scheduler.conf import get_settings
from django_scheduler.functions import (
    UNIONS,
    AnyFunction,
    DeclaredLimit,
    RateLimit,
    annotation_of,
    name_of_limit,
    registry,
)
from django_scheduler.suggestions import did_you_mean
from django_scheduler.values import PLAIN_TYPES


@register("django_scheduler")
def check_calls(**kwargs: Any) -> Iterator[CheckMessage]:
    """E006: a decorator around the body does not take the arguments that the body declares."""
    for function in registry:
        if problem := _why_it_cannot_be_called(function):
            yield Error(
                f"{function.name}{function.signature} cannot be called with its own arguments: {problem}.",
                hint="A decorator below @mutation or @action must pass on ctx and all keyword arguments:"
                " def wrapper(ctx, **kwargs).",
                obj=function,
                id="django_scheduler.E006",
            )


@register("django_scheduler")
def check_argument_types(**kwargs: Any) -> Iterator[CheckMessage]:
    """W002: an argument is annotated with a type that cannot be stored."""
    for function in registry:
        for name, annotation in _annotations(function):
            if not _may_be_stored(annotation):
                shown = annotation.__qualname__ if isinstance(annotation, type) else str(annotation)
                yield Warning(
                    f"{function.name} takes {name}: {shown}, which cannot be stored, so it can never be scheduled with"
                    " one.",
                    hint="Let it take what the value can be found or made from, such as a primary key.",
                    obj=function,
                    id="django_scheduler.W002",
                )


@register("django_scheduler")
def check_retries(**kwargs: Any) -> Iterator[CheckMessage]:
    """W016: ``retry=`` is declared, and nothing is ever tried again."""
    for function in registry:
        retry = function.retry
        if retry is None:
            continue
        if retry.max_attempts == 1:
            why, hint = "max_attempts=1 counts the first attempt too", "Give it at least 2, or leave retry= out."
        elif retry.on == () and not function.idempotent:
            why, hint = "on=() names no error", "Leave on= out for any Exception, or name classes of exceptions."
        else:
            continue
        yield Warning(
            f"{function.name} declares retry=, and is never tried again: {why}.",
            hint=hint,
            obj=function,
            id="django_scheduler.W016",
        )


@register("django_scheduler")
def check_limits(**kwargs: Any) -> Iterator[CheckMessage]:
    """E023: functions share a limit and do not agree on it, or a limit has the name of a function that it is not of.

    A limit of how many run at once and one of how many begin within a period may have the same name.
    """
    yield from _disagreements("limit", [(each, each.limit_name, each.concurrency) for each in registry])
    yield from _disagreements(
        "rate limit", [(each, name_of_limit(each.rate_name), each.rate_limit) for each in registry]
    )


def _disagreements(
    what: str, limits: Iterable[tuple[AnyFunction, str, DeclaredLimit | None]]
) -> Iterator[CheckMessage]:
    by_name: dict[str, dict[AnyFunction, DeclaredLimit]] = {}
    for function, name, limit in limits:
        if limit:
            by_name.setdefault(name, {})[function] = limit
    for name, declared in by_name.items():
        owner = registry.find(name)
        others = [function for function in declared if function is not owner]
        if owner and others:
            yield Error(
                f"{others[0].name} declares a {what} by the name of another function, {name}.",
                hint=f"To share a {what} with {owner.name}, give both one name= that is no function's. To have its own,"
                " leave name= out.",
                obj=others[0],
                id="django_scheduler.E023",
            )
        elif len({_shape_of(limit) for limit in declared.values()}) > 1:
            differently = "; ".join(f"{function.name}: {limit}" for function, limit in declared.items())
            yield Error(
                f"Functions share the {what} {name!r}, and declare it differently: {differently}.",
                hint="Let them have the same number (and period), and keys of as many parameters, or another name=.",
                obj=others[0],
                id="django_scheduler.E023",
            )


def _shape_of(limit: DeclaredLimit) -> tuple[int, timedelta | None, int]:
    period = limit.per if isinstance(limit, RateLimit) else None
    return limit.limit, period, len(limit.parameters)


@register("django_scheduler")
def check_fair_keys(**kwargs: Any) -> Iterator[CheckMessage]:
    """W018: ``FAIR_KEYS`` names a parameter that no function has."""
    try:
        fair_keys = get_settings().FAIR_KEYS
    except ImproperlyConfigured:  # E001 and E002 say so
        return
    known = {name for function in registry for name in function.names_of_parameters}
    for queue, key in fair_keys.items():
        if key not in known:
            yield Warning(
                f"DJANGO_SCHEDULER['FAIR_KEYS'] says that {key!a} names the tenants of the queue {queue!a}, and no"
                " function has such a parameter, so nobody takes turns there.",
                hint=f"Correct its name, or leave the queue out.{did_you_mean(key, known)}",
                id="django_scheduler.W018",
            )


def _why_it_cannot_be_called(function: AnyFunction) -> str | None:
    outermost = inspect.signature(function.body, follow_wrapped=False)
    parameters = function.signature.parameters.values()
    named = [each.name for each in parameters if each.kind is not inspect.Parameter.VAR_KEYWORD]
    try:
        outermost.bind(None, **dict.fromkeys(named))
    except TypeError as error:
        return f"{error} in what the decorators have made of it"
    return None


def _annotations(function: AnyFunction) -> Iterator[tuple[str, Any]]:
    for name, parameter in function.signature.parameters.items():
        try:
            yield name, annotation_of(function, parameter)
        except Exception:  # a name that exists only for type checkers, or anything else that an annotation may do
            continue


def _may_be_stored(annotation: Any) -> bool:
    """Return whether a value of this type can be stored, or may be one that can."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _may_be_stored(typing.get_args(annotation)[0])
    if origin in UNIONS:
        members = [member for member in typing.get_args(annotation) if member is not types.NoneType]
        return any(map(_may_be_stored, members)) if members else True
    cls = origin or annotation
    if cls is Any or not isinstance(cls, type) or getattr(cls, "_is_protocol", False):
        return True  # TypeVar, Literal, NewType, ...: nothing is known
    if issubclass(cls, Enum | Model) or hasattr(cls, "__dataclass_fields__") or typing.is_typeddict(cls):
        return True
    if issubclass(cls, Promise):
        return False
    # Itself one of them, or what one of them is a kind of: object, Sequence, date.
    return any(issubclass(plain, cls) for plain in PLAIN_TYPES)
