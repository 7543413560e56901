"""A stub says of each parameter what its annotation means, by names that a stub can import."""

import ast
import datetime
from collections.abc import Callable, Sequence
from decimal import Decimal
from inspect import signature
from typing import Annotated, Any, List, Literal, Optional, TypeVar, Union  # noqa: UP035

import pytest

from django_scheduler import Context, internal_action, internal_mutation
from django_scheduler.stubs import stub_of
from tests.models import Entry
from tests.stubs import shapes
from tests.stubs.shapes import Box, Depot, OrderId, Parcel, Size

T = TypeVar("T")


class Outer:
    class Inner: ...


def stubs_of(*functions: Any) -> dict[str, str]:
    """Return what the stub says of each shape: its parameters after ctx, and its result."""
    found = {}
    for node in ast.parse(stub_of(functions)).body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("tests__"):
            (call,) = node.body
            assert isinstance(call, ast.FunctionDef)
            parameters, result = ast.unparse(call.args), ast.unparse(call.returns) if call.returns else ""
            found[node.name] = f"{parameters.removeprefix('self, ctx: Context, /').removeprefix(', ')} -> {result}"
    return found


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "int"),
        (None, "None"),
        (Any, "Any"),
        ("list[str]", "list[str]"),
        (list, "list[Any]"),
        (dict, "dict[Any, Any]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (tuple[()], "tuple[()]"),
        (List[int], "list[int]"),  # noqa: UP006
        (Optional[int], "int | None"),  # noqa: UP045
        (Union[int, str], "int | str"),  # noqa: UP007
        (int | Any, "Any"),
        (Sequence[datetime.date], "_collections_abc.Sequence[_datetime.date]"),
        (Decimal | None, "_decimal.Decimal | None"),
        (Literal["a", 1, True], "Literal['a', 1, True]"),
        (Literal[Size.SMALL], "Literal[_tests_stubs_shapes.Size.SMALL]"),
        (Annotated[int, "metres"], "int"),
        (OrderId, "_tests_stubs_shapes.OrderId"),
        (Parcel, "_tests_stubs_shapes.Parcel"),
        (Box, "_tests_stubs_shapes.Box[Any]"),
        (Box[int], "_tests_stubs_shapes.Box[int]"),
        (Depot.Shelf, "_tests_stubs_shapes.Depot.Shelf"),
        (Entry, "_tests_models.Entry"),
        (T, "Any"),
        (list[T], "list[Any]"),  # type: ignore[valid-type]
        (Callable[[int], str], "Any"),
        ("Nowhere", "Any"),
        ("1 / 0", "Any"),
    ],
)
def test_an_annotation_is_named_by_its_module(annotation, text):
    def take_annotated(ctx, *, value): ...

    take_annotated.__annotations__ = {"value": annotation}
    assert stubs_of(internal_mutation(take_annotated)) == {"tests__take_annotated": f"*, value: {text} -> Any"}


def test_a_class_that_no_module_has_is_any():
    class Local: ...

    def take_local(ctx, *, value: Local) -> Local:
        return value

    assert stubs_of(internal_mutation(take_local)) == {"tests__take_local": "*, value: Any -> Any"}


def test_what_is_imported_for_type_checkers_is_known():
    def take_shapes(ctx): ...

    take_shapes.__module__ = shapes.__name__
    function = internal_mutation(take_shapes)
    vars(function)["signature"] = signature(shapes.take)
    vars(take_shapes)["__wrapped__"] = shapes.take
    (said,) = stubs_of(function).values()
    assert said == (
        "amount: _decimal.Decimal, entry: _tests_models.Entry | None, other: _tests_models.Entry, nothing: Any,"
        " misspelled: Any, failing: Any, plain: Any -> _tests_stubs_shapes.OrderId"
    )


def test_parameters_keep_their_kinds_and_defaults():
    @internal_mutation
    def take_both(ctx, order_id: int, paid: bool = False, *, note: str, tags: list[str] | None = None) -> None: ...

    @internal_mutation
    def take_any_more(ctx, /, order_id: int, **more: str) -> None: ...

    @internal_action
    async def take_nothing(ctx) -> int:
        return 7

    assert stubs_of(take_both, take_any_more, take_nothing) == {
        "tests__take_any_more": "order_id: int, **more: str -> None",
        "tests__take_both": "order_id: int, paid: bool=..., *, note: str, tags: list[str] | None=... -> None",
        "tests__take_nothing": " -> Coroutine[Any, Any, int]",
    }


def test_parameters_that_are_called_like_ours_are_no_obstacle():
    @internal_mutation
    def take_our_names(context: Context, *, self: int, ctx: int, when: int, function: int, schedule: int) -> None: ...

    text = stub_of([take_our_names])
    ast.parse(text)
    assert "def __call__(self_, ctx_: Context, /, *, self: int, ctx: int, when: int," in text


def test_parameters_whose_names_mean_something_else_in_a_class_are_not_typed():
    @internal_mutation
    def take_mangled(ctx, *, __secret: int) -> None: ...

    assert stubs_of(take_mangled) == {"tests__take_mangled": "*args: Any, **kwargs: Any -> None"}


def test_functions_of_one_name_in_a_stub_are_told_apart():
    def double(ctx): ...

    functions = [internal_mutation(name=name)(double) for name in ("one__more", "two__more")]
    vars(functions[0])["name"], vars(functions[1])["name"] = "tests__one:more", "tests:one__more"
    assert [*stubs_of(*functions)] == ["tests__one__more", "tests__one__more_"]


def test_names_that_a_function_had_are_known_and_keywords_are_no_attributes():
    @internal_mutation(name="import", aliases=("old", "elsewhere:older"))
    def bring_in(ctx) -> None: ...

    text = stub_of([bring_in])
    ast.parse(text)
    assert 'FunctionName: TypeAlias = Literal["elsewhere:older", "tests:import", "tests:old"]' in text
    assert "class _internal_elsewhere:\n    older: Reference[tests__import]" in text
    assert "class _internal_tests:\n    old: Reference[tests__import]\n" in text
    assert "class _api:\n    ...\n" in text


def test_the_order_of_definition_does_not_matter():
    def nothing_much(ctx) -> None: ...

    functions = [internal_mutation(name=name)(nothing_much) for name in ("stub_b", "stub_a", "stub_c")]
    assert stub_of(functions) == stub_of(reversed(functions))
