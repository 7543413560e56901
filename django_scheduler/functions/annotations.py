"""Say what parameters are annotated with, also where that is text, as after ``from __future__ import annotations``."""

import types
import typing
from collections.abc import Mapping
from inspect import Parameter, unwrap
from typing import Any, get_args, get_origin

from django_scheduler.functions.function import AnyFunction

UNIONS = (typing.Union, types.UnionType)


def annotation_of(function: AnyFunction, parameter: Parameter, known: Mapping[str, object] | None = None) -> Any:
    """Return what a parameter is annotated with; ``Any`` if it is not.

    Only this one is evaluated: that of another parameter may name what is imported for type checkers only. ``known``:
    what names mean that its module has not imported. Raises whatever the evaluation raises.
    """
    return _evaluated(function, parameter.annotation, known)


def annotation_of_result(function: AnyFunction, known: Mapping[str, object] | None = None) -> Any:
    """Return what the result of a function is annotated with, as ``annotation_of`` does for a parameter."""
    return _evaluated(function, function.signature.return_annotation, known)


def _evaluated(function: AnyFunction, annotation: object, known: Mapping[str, object] | None) -> Any:
    if annotation is Parameter.empty:
        return Any

    def holder() -> None: ...

    holder.__annotations__ = {"it": annotation}
    names = {**(known or {}), **getattr(unwrap(function.body), "__globals__", {})}
    return typing.get_type_hints(holder, globalns=names)["it"]


def types_of_parameter(function: AnyFunction, name: str, known: Mapping[str, object] | None = None) -> tuple[Any, ...]:
    """Return the types that a parameter is annotated with, of which a union has several.

    There are none if the function has no such parameter, or if nobody knows what its annotation means.
    """
    parameter = function.signature.parameters.get(name)
    if parameter is None or parameter.annotation is Parameter.empty:
        return ()
    if isinstance(parameter.annotation, type) and not get_args(parameter.annotation):
        return (parameter.annotation,)  # found out in a hundredth of the time
    try:
        annotation = annotation_of(function, parameter, known)
    except Exception:  # it is the project's, and may name what is imported for type checkers only
        return ()
    return get_args(annotation) if get_origin(annotation) in UNIONS else (annotation,)
