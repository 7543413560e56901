"""A stub says of each parameter what its annotation means, by names that a stub can import."""

import ast
import datetime
import sys
import typing
from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import Enum
from importlib import import_module
from inspect import signature
from types import SimpleNamespace
from typing import Annotated, Any, Dict, List, Literal, Optional, Tuple, TypeVar, Union  # noqa: UP035

import pytest

from django_scheduler import Context, internal_action, internal_mutation
from django_scheduler.stubs import stub_of
from django_scheduler.stubs.signatures import imported_for_type_checkers
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


def function_of_shapes(body: Any) -> Any:
    """Return a function with the signature of one of ``shapes``, whose annotations mean what they mean there."""

    def take(ctx): ...

    take.__module__ = shapes.__name__
    function = internal_mutation(name=body.__name__)(take)
    vars(function)["signature"] = signature(body)
    vars(take)["__wrapped__"] = body
    return function


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
        (Tuple[()], "tuple[()]"),  # noqa: UP006
        (Tuple, "tuple[Any, ...]"),  # noqa: UP006
        (List, "list[Any]"),  # noqa: UP006
        (Dict | None, "dict[Any, Any] | None"),  # noqa: UP006
        (typing.Sequence, "_collections_abc.Sequence"),
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


def test_class_of_a_private_module_is_named_by_the_package_around_it(monkeypatch):
    """``pathlib.Path`` is one of ``pathlib._local`` on Python 3.13, and the stub is the same on all of them."""
    monkeypatch.setattr(Size, "__module__", "tests.stubs.shapes._local.new")
    monkeypatch.setitem(sys.modules, "tests.stubs.shapes._local.new", SimpleNamespace(Size=Size))

    def take_private(ctx, *, size: Size) -> None: ...

    assert stubs_of(internal_mutation(take_private)) == {
        "tests__take_private": "*, size: _tests_stubs_shapes.Size -> None"
    }


def test_module_whose_name_cannot_be_written_has_no_types(monkeypatch):
    monkeypatch.setattr(Size, "__module__", "tests.lambda")
    monkeypatch.setitem(sys.modules, "tests.lambda", SimpleNamespace(Size=Size))
    word: Any = Enum("word", ["in", "out"], module=__name__)
    monkeypatch.setattr(sys.modules[__name__], "word", word, raising=False)

    def take_lambda(ctx, *, size: Size, preposition: Literal[word["in"]]) -> None: ...  # type: ignore[type-arg, valid-type]

    assert stubs_of(internal_mutation(take_lambda)) == {"tests__take_lambda": "*, size: Any, preposition: Any -> None"}


def test_what_is_imported_for_type_checkers_is_known():
    (said,) = stubs_of(function_of_shapes(shapes.take)).values()
    assert said == (
        "amount: _decimal.Decimal, entry: _tests_models.Entry | None, other: _tests_models.Entry, nothing: Any,"
        " misspelled: Any, failing: Any, plain: Any -> _tests_stubs_shapes.OrderId"
    )


@pytest.mark.parametrize("module", ["typing", "typing_extensions"])
def test_options_that_are_unpacked_from_a_typed_dict_have_its_keys(module, monkeypatch):
    monkeypatch.setattr(shapes, "Unpack", pytest.importorskip(module).Unpack)
    text = stub_of([function_of_shapes(shapes.take_options)])
    options = "size: _tests_stubs_shapes.Size, note: str = ..., weight: int, color: str = ..."
    assert f"def __call__(self, ctx: Context, /, *, {options}) -> None: ..." in text
    fields = '"size": _tests_stubs_shapes.Size, "note": NotRequired[str], "weight": int, "color": NotRequired[str]'
    assert f'__arguments = TypedDict("tests__take_options__arguments", {{{fields}}})' in text


def test_options_with_what_nobody_can_evaluate_may_be_any():
    (said,) = stubs_of(function_of_shapes(shapes.take_unknown)).values()
    assert said == "**options: Any -> None"


@pytest.mark.parametrize("test", ["TYPE_CHECKING", "typing.TYPE_CHECKING", "t.TYPE_CHECKING"])
def test_any_spelling_of_the_condition_is_known(test, tmp_path, monkeypatch):
    (tmp_path / "spelled.py").write_text(
        f"import typing\nimport typing as t\nfrom typing import TYPE_CHECKING\nif {test}:\n    import decimal as d\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "spelled", raising=False)
    import_module("spelled")
    imported_for_type_checkers.cache_clear()
    assert imported_for_type_checkers("spelled") == {"d": ("decimal", "")}


def test_program_that_is_imported_for_type_checkers_ends_nothing(tmp_path, monkeypatch):
    (tmp_path / "a_program.py").write_text("raise SystemExit(2)\n")
    (tmp_path / "that_names_it.py").write_text(
        "from __future__ import annotations\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from a_program import Settings\n"
        "def take_settings(ctx, *, settings: Settings) -> int: ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = import_module("that_names_it")
    monkeypatch.setitem(sys.modules, "tests.that_names_it", module)
    module.take_settings.__module__ = "tests.that_names_it"
    function = internal_mutation(module.take_settings)
    assert stubs_of(function) == {"tests__take_settings": "*, settings: Any -> int"}


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


def test_function_that_is_called_like_the_arguments_of_another_is_told_apart():
    def nothing_much(ctx, *, outcome: int) -> None: ...

    names = ("sole", "sole__arguments", "sole__callback_arguments")
    text = stub_of([internal_mutation(name=name)(nothing_much) for name in names])
    defined = [each for each in ast.parse(text).body if isinstance(each, ast.ClassDef | ast.Assign)]
    names_of = [each.name if isinstance(each, ast.ClassDef) else ast.unparse(each.targets[0]) for each in defined]
    assert len(names_of) == len({*names_of})
    assert "tests__sole__arguments_" in names_of


@pytest.mark.parametrize("module", ["internal._tests", "internal", "tests__take_collision"])
def test_module_that_is_called_like_a_name_of_the_stub_is_told_apart(module, monkeypatch):
    monkeypatch.setattr(Size, "__module__", module)
    monkeypatch.setitem(sys.modules, module, SimpleNamespace(Size=Size))

    def take_collision(ctx, *, size: Size) -> None: ...

    function = internal_mutation(take_collision)
    vars(function)["name"] = "_tests:take_collision"
    text = stub_of([function])
    alias = f"_{module.replace('.', '_')}_"
    assert f"    import {module} as {alias}\n" in text
    assert f"size: {alias}.Size" in text


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
