"""Arguments are bound to the signature of a function as Python binds those of a call."""

import inspect
from functools import wraps
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_scheduler import mutation
from django_scheduler.errors import InvalidArguments
from django_scheduler.functions import Function, why_not_bound
from django_scheduler.functions.function import OPTIONS_OF_CALLS
from django_scheduler.models import Kind
from django_scheduler.scheduling import Scheduler

pytestmark = pytest.mark.once

#: Wrong calls are what is tested here, so no type checker is told of the signature.
decorate: Any = mutation

NAMES = ("label", "color", "size", "shape", "more", "kwargs", "args", "self", "ctx")
names = st.sampled_from(NAMES)


@given(st.lists(st.text(max_size=3), max_size=4), st.dictionaries(names, st.integers()))
def test_it_is_bound_as_python_would(args, kwargs):
    def as_python(ctx, label, color="red", *, size=1, **more):
        return {"label": label, "color": color, "size": size, **more}

    bound = mutation_for_python.bind
    try:
        expected = as_python(None, *args, **kwargs)
    except TypeError:
        with pytest.raises(InvalidArguments):
            bound(tuple(args), kwargs)
    else:
        assert {"color": "red", "size": 1, **bound(tuple(args), kwargs)} == expected


@decorate
def mutation_for_python(ctx, label, color="red", *, size=1, **more): ...


def body_with(signature: inspect.Signature) -> Any:
    """A body with that signature, as some decorator has made it."""

    def body(*args: Any, **kwargs: Any) -> None: ...

    body.__signature__ = signature  # type: ignore[attr-defined]
    return body


@st.composite
def signatures(draw: st.DrawFn) -> inspect.Signature:
    """Any signature that a function may have that is scheduled."""
    Parameter = inspect.Parameter  # noqa: N806
    kinds = draw(st.lists(st.sampled_from([Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY]), max_size=4))
    ctx, *others = draw(st.permutations(NAMES))
    parameters = [Parameter(ctx, draw(st.sampled_from([Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD])))]
    has_default = False
    for kind in sorted(kinds):
        # Once one has a default that may be given by position, so have those behind it.
        has_default = draw(st.booleans()) or (has_default and kind is Parameter.POSITIONAL_OR_KEYWORD)
        parameters.append(Parameter(others.pop(), kind, default=1 if has_default else Parameter.empty))
    if draw(st.booleans()):
        parameters.append(Parameter(others.pop(), Parameter.VAR_KEYWORD))
    return inspect.Signature(parameters)


def arguments_by_name(bound: inspect.BoundArguments) -> list[tuple[str, object]]:
    """The arguments but for ctx, in their order, with those that have no parameter of their own at the end."""
    _, *arguments = bound.arguments.items()
    found: list[tuple[str, object]] = []
    for name, value in arguments:
        takes_others = bound.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
        found += value.items() if takes_others else [(name, value)]
    return found


class Name(str):
    """Is a name, and not quite a ``str``."""


@given(
    signatures(),
    st.lists(st.integers(), max_size=5).map(tuple),
    st.dictionaries(names | names.map(Name) | st.sampled_from([1, None, ("label",)]), st.integers(), max_size=5),
)
def test_any_signature_binds_any_call_as_inspect_does_or_says_why_not(signature, args, kwargs):
    function = Function(body_with(signature), kind=Kind.MUTATION, public=True)
    given_before = dict(kwargs)
    error = None
    try:
        expected = arguments_by_name(signature.bind(None, *args, **kwargs))
    except TypeError as inspects_error:
        error = inspects_error
    if error is None:
        bound = function.bind(args, kwargs)
        assert list(bound.items()) == expected
        assert bound is not kwargs
    else:
        with pytest.raises(InvalidArguments) as caught:
            function.bind(args, kwargs)
        assert str(caught.value).startswith(why_not_bound(function.name, function.signature, args, kwargs, error))
    assert kwargs == given_before


def test_a_decorated_body_takes_what_it_takes_underneath():
    def passing_on(body: Any) -> Any:
        @wraps(body)
        def call(*args: Any, **kwargs: Any) -> Any:
            return body(*args, **kwargs)

        return call

    @decorate
    @passing_on
    def paint_decorated(ctx, label, *, size=1): ...

    assert paint_decorated.bind(("a",), {"size": 2}) == {"label": "a", "size": 2}
    with pytest.raises(InvalidArguments, match=r"tests:paint_decorated\(label, \*, size=1\) cannot be called like"):
        paint_decorated.bind((), {"size": 2})


def test_a_body_that_was_exchanged_is_bound_as_what_it_is_then():
    @decorate
    def exchanged(ctx, *, label): ...

    def body(ctx, first, /, *args, second=2): ...

    exchanged.body = body
    assert exchanged.bind((1, 3), {"second": 4}) == {"first": 1, "args": (3,), "second": 4}


def test_what_may_be_an_option_of_the_call_is_each_that_a_scheduler_takes():
    assert {*OPTIONS_OF_CALLS} == inspect.signature(Scheduler.options).parameters.keys() - {"self"}
