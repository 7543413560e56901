"""The architecture page is true: what it names is there, what is there has its place, and imports point downwards."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from django_scheduler.record import transitions
from tests.docs.blocks import ROOT

PACKAGE = ROOT / "django_scheduler"
PAGE = (ROOT / "docs/architecture.md").read_text()
PACKAGES = re.search(r"^## The packages\n.*?^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
#: The highest first.
FLOORS = [line.split() for line in reversed(PACKAGES[1].splitlines())] if PACKAGES else []

TRANSITIONS = {name: each for name, each in vars(transitions).items() if isinstance(each, transitions.Transition)}

#: What holds no code of ours that others could import, or is not for people to look into.
NO_ROOMS = {"__init__.py", "__pycache__", "py.typed", "migrations", "templates", "static", "locale"}


def named_paths() -> list[str]:
    return re.findall(r"`((?:[\w]+/)*[\w]+(?:\.py|/)|[\w/]+/[\w]+\.\w+)`", PAGE)


def find(path: str) -> Path | None:
    return next((root / path for root in (PACKAGE, ROOT) if (root / path).exists()), None)


def test_what_it_names_is_there():
    named = named_paths()
    assert len(named) > 60
    assert not {path for path in named if find(path) is None}


def test_functions_that_it_names_are_in_the_file_that_it_names():
    answers = re.findall(r"`([\w/]+\.py)`: ((?:`[\w.]+`(?:, )?)+)", PAGE)
    assert len(answers) >= 8
    for path, names in answers:
        file = find(path)
        assert file, path
        defined = {
            node.name
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        }
        assert set(re.findall(r"`(\w+)`", names)) <= defined, path


def test_the_way_of_a_function_is_short():
    steps = re.findall(r"^\d+\. \*\*.*?(?=^\d+\. |^$)", PAGE, re.MULTILINE | re.DOTALL)
    files = [set(re.findall(r"`([\w/]+\.py)`", step)) for step in steps]
    assert all(files)
    assert len(set().union(*files)) <= 12


def test_its_state_machine_is_that_of_the_code():
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+?) \| (\w+) \|", PAGE, re.MULTILINE)
    assert {name: (set(sources.split(", ")), target) for name, sources, target in rows} == {
        name: ({source.value for source in each.sources}, each.target.value) for name, each in TRANSITIONS.items()
    }


def test_its_diagram_has_every_transition():
    (diagram,) = re.findall(r"^```text\n([^`]*^insert .*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"\b[A-Z][A-Z_]+\b", diagram)) == set(TRANSITIONS)


def test_every_part_of_the_package_has_its_place():
    parts = {entry.name + "/" * entry.is_dir() for entry in PACKAGE.iterdir() if entry.name not in NO_ROOMS}
    assert sorted(part for floor in FLOORS for part in floor) == sorted(parts)


def test_imports_point_downwards():
    height = {
        part.removesuffix("/").removesuffix(".py"): -number for number, floor in enumerate(FLOORS) for part in floor
    }
    upwards = [
        f"{file.relative_to(ROOT)} imports {imported}"
        for file in PACKAGE.rglob("*.py")
        if (part := file.relative_to(PACKAGE).parts[0].removesuffix(".py")) in height
        for imported in imported_parts(file)
        if height.get(imported, height[part]) > height[part]
    ]
    assert not upwards


def imported_parts(file: Path) -> Iterator[str]:
    """Which parts of this package a module needs to be imported itself."""
    waiting: list[ast.AST] = [ast.parse(file.read_text())]
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            if isinstance(node, ast.ImportFrom) and node.module == "django_scheduler":
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("django_scheduler."):
                assert node.module
                yield node.module.split(".")[1]
            elif not isinstance(node, ast.FunctionDef) and not is_for_type_checkers(node):
                waiting.append(node)


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


@pytest.mark.parametrize(
    "package",
    sorted(
        file.parent for file in PACKAGE.rglob("__init__.py") if file.parent not in (PACKAGE, PACKAGE / "migrations")
    ),
    ids=lambda package: str(package.relative_to(PACKAGE)),
)
def test_every_package_says_what_its_rooms_are(package: Path):
    said = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    rooms = {
        entry.name + "/" * entry.is_dir()
        for entry in package.iterdir()
        if entry.name not in {*NO_ROOMS, "apps.py"} and (entry.suffix == ".py" or (entry / "__init__.py").exists())
    }
    assert said
    assert not {room for room in rooms if f"``{room}``" not in said}
