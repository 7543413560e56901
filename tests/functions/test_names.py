"""A function has one name in its app, and a name has one function."""

import ast
import contextlib
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.errors import FunctionNotFound
from django_scheduler.functions import registry
from django_scheduler.functions.function import Function
from django_scheduler.functions.registry import Registry
from tests.support.elsewhere import elsewhere

pytestmark = pytest.mark.once


def test_two_functions_of_one_name_are_an_error_that_names_both_places():
    @mutation(name="twice")
    def one(ctx: Context) -> None: ...

    def two(ctx: Context) -> None: ...

    with pytest.raises(ImproperlyConfigured) as caught:
        action(name="twice")(two)
    assert "Two functions are named 'tests:twice'" in str(caught.value)
    for body in [one.body, two]:
        assert f"{__file__}:{body.__code__.co_firstlineno}" in str(caught.value)
    assert registry.get("tests:twice") is one


def test_functions_that_one_function_makes_need_names_of_their_own():
    def make(color, **options):
        @mutation(**options)
        def made(ctx: Context) -> object:
            return color

        return made

    make("red")
    with pytest.raises(ImproperlyConfigured, match="Two functions are named 'tests:made'"):
        make("green")
    assert registry.get("tests:made")(ctx) == "red"
    assert make("green", name="make_green")(ctx) == "green"


def test_a_function_outside_of_any_installed_app_is_refused_where_it_is_defined():
    source = "from django_scheduler import mutation\n@mutation\ndef lost(ctx): ..."
    with pytest.raises(ImproperlyConfigured, match=r"elsewhere\.lost is a mutation outside of any installed app"):
        exec(source, {"__name__": "elsewhere"})
    with contextlib.suppress(ImproperlyConfigured):
        list(registry)
    assert registry.find("elsewhere:lost") is None


def test_a_name_without_its_app_is_answered_with_the_function_that_has_it():
    @mutation
    def named_without_app(ctx: Context) -> None: ...

    with pytest.raises(FunctionNotFound, match="Did you mean 'tests:named_without_app'"):
        registry.get("named_without_app")


def test_a_function_is_found_while_another_thread_enters_it():
    @mutation
    def imported_late(ctx: Context) -> None: ...

    looked_up: list[object] = []

    class Entered(Function[[], None]):
        @property
        def names(self):
            if not looked_up:  # the first thread is entering it
                looked_up.append(None)
                looked_up[0] = elsewhere(lambda: fresh.find("tests:imported_late"))
            return super().names

    fresh = Registry()
    imported_late.__class__ = Entered  # type: ignore[assignment]
    fresh.add(imported_late)
    assert looked_up == [imported_late]
    assert list(fresh) == [imported_late]


def test_functions_of_modules_have_names_of_their_own():
    """Two modules of tests that run in one process would otherwise meet, sometimes. Those in tests end with these."""
    of_modules: dict[str, Path] = {}
    of_all: dict[str, set[Path]] = {}
    tests = Path(__file__).parents[1]
    projects = {*tests.glob("typing/project/**/*.py"), *tests.glob("importing/site/**/*.py")}  # these run by themselves
    for path in {*tests.rglob("*.py")} - projects:
        text = path.read_text()
        if not DECORATED.search(text):
            continue  # most files, and to parse them takes long
        module = ast.parse(text)
        of_modules |= dict.fromkeys(names_in(module.body), path)
        for name in names_in(ast.walk(module)):
            of_all.setdefault(name, set()).add(path)
    assert {name: of_all[name] for name, path in of_modules.items() if of_all[name] != {path}} == {}


def names_in(nodes: Iterable[ast.AST]) -> list[str]:
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [node.name for node in functions if any(map(makes_a_function, node.decorator_list))]


DECORATORS = {"mutation", "action", "internal_mutation", "internal_action"}
DECORATED = re.compile(rf"^ *@({'|'.join(DECORATORS)})\b", re.MULTILINE)


def makes_a_function(decorator: ast.expr) -> bool:
    """Whether it is one of ours, and names the function by its own name."""
    if isinstance(decorator, ast.Call):
        return makes_a_function(decorator.func) and "name" not in {keyword.arg for keyword in decorator.keywords}
    return isinstance(decorator, ast.Name) and decorator.id in DECORATORS
