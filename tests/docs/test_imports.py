"""Imports go one way: between packages, within them, and only to what a package names for others."""

import ast
import os
import re
from functools import cache
from graphlib import CycleError, TopologicalSorter

import pytest

import django_scheduler
from tests.docs.blocks import ROOT
from tests.support import forked_processes

PACKAGE = ROOT / "django_scheduler"
PAGE = (ROOT / "docs/architecture.md").read_text()

#: The parts of the package as the page lists them, lowest first: a part may import from those above its line.
LINES = re.search(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ORDER = [line.split() for line in LINES[1].splitlines()] if LINES else []
HEIGHT = {re.sub(r"(/|\.py)$", "", part): number for number, line in enumerate(ORDER) for part in line}

#: What holds no code of ours that others could import.
NO_PARTS = {"__init__.py", "__pycache__", "py.typed", "migrations", "templates", "static", "locale"}

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
    if "migrations" not in path.parts
}


def part_of(module: str) -> str:
    return [*module.split("."), ""][1]


@cache
def imports(module: str) -> list[tuple[str, str, bool]]:
    """Find what a module imports from the package, wherever in it: module, name, and whether only for annotations."""
    tree = ast.parse(MODULES[module].read_text())
    for_annotations = {
        id(each)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for each in ast.walk(node)
    }
    found: list[tuple[str, str, bool]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "django_scheduler":
            assert node.module
            assert not node.level
            found += [(node.module, alias.name, id(node) in for_annotations) for alias in node.names]
    return found


def imported_part(module: str, name: str) -> str:
    """Tell the part that ``from module import name`` means; empty for what belongs to the package as a whole."""
    if module != "django_scheduler":
        return part_of(module)
    home = django_scheduler._MODULES.get(name, "functions") if name in django_scheduler.__all__ else name
    return home.split(".")[0] if home.split(".")[0] in HEIGHT else ""


def is_ctx_in_an_annotation(name: str, for_annotations: bool) -> bool:
    return name == "Context" and for_annotations


def test_every_part_of_the_package_has_its_place():
    parts = {entry.name + "/" * entry.is_dir() for entry in PACKAGE.iterdir() if entry.name not in NO_PARTS}
    assert sorted(part for line in ORDER for part in line) == sorted(parts)


def test_parts_import_only_from_those_above_them():
    upwards = [
        f"{module} imports {name} from {imported}"
        for module in MODULES
        if part_of(module)
        for imported, name, for_annotations in imports(module)
        if (part := imported_part(imported, name)) and part != part_of(module)
        if HEIGHT[part] >= HEIGHT[part_of(module)] and not is_ctx_in_an_annotation(name, for_annotations)
    ]
    assert not upwards


def test_modules_do_not_import_each_other_in_a_circle():
    graph: dict[str, set[str]] = {}
    for module in MODULES:
        if MODULES[module].name == "__init__.py":
            continue  # it names what its modules have
        wanted = {
            f"{imported}.{name}" if f"{imported}.{name}" in MODULES else imported
            for imported, name, for_annotations in imports(module)
            if not is_ctx_in_an_annotation(name, for_annotations)
        }
        graph[module] = {each for each in wanted - {module} if part_of(each) == part_of(module)}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_other_packages_import_what_a_package_names():
    beside = [
        f"{module} imports {name} from {imported}"
        for module in MODULES
        for imported, name, _ in imports(module)
        if imported != "django_scheduler" and part_of(imported) != part_of(module)
        if name not in names_for_others(part_of(imported))
        or (imported.count(".") > 1 and (PACKAGE / part_of(imported)).is_dir())
    ]
    assert not beside


@cache
def names_for_others(part: str) -> set[str]:
    """Return what a package lists in ``__all__``, or what a module of the top floor defines."""
    path = PACKAGE / part / "__init__.py"
    if not path.exists():
        tree = ast.parse((PACKAGE / f"{part}.py").read_text())
        return {
            name.id if isinstance(name, ast.Name) else name.name
            for node in tree.body
            for name in ([*ast.walk(node)] if isinstance(node, ast.Assign | ast.AnnAssign) else [node])
            if isinstance(name, ast.Name | ast.FunctionDef | ast.ClassDef)
        }
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def test_process_that_only_schedules_does_not_load_the_executor():
    script = """
import sys

import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django_scheduler"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()

from django_scheduler import ctx

ctx.scheduler
print([name for name in sys.modules if name.startswith("django_scheduler.executor")])
"""
    environment = {**os.environ, **forked_processes.ENVIRONMENT, "DJANGO_SETTINGS_MODULE": ""}
    done = forked_processes.run(["-c", script], environment)
    assert done.stdout == "[]\n", done.stderr
