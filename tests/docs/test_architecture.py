"""The architecture page is true: what it names is there, and its state machine is that of the code."""

import ast
import re
from pathlib import Path

import pytest

from django_scheduler.record import transitions
from tests.docs.blocks import ROOT

PACKAGE = ROOT / "django_scheduler"
PAGE = (ROOT / "docs/architecture.md").read_text()

TRANSITIONS = {name: each for name, each in vars(transitions).items() if isinstance(each, transitions.Transition)}

#: What holds no code of ours that others could import, or is not for people to look into.
NO_FILES = {"__init__.py", "__pycache__", "py.typed", "migrations", "templates", "static", "locale"}


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


@pytest.mark.parametrize(
    "package",
    sorted(
        file.parent for file in PACKAGE.rglob("__init__.py") if file.parent not in (PACKAGE, PACKAGE / "migrations")
    ),
    ids=lambda package: str(package.relative_to(PACKAGE)),
)
def test_every_package_says_what_its_files_are(package: Path):
    said = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    files = {
        entry.name + "/" * entry.is_dir()
        for entry in package.iterdir()
        if entry.name not in {*NO_FILES, "apps.py"} and (entry.suffix == ".py" or (entry / "__init__.py").exists())
    }
    assert said
    assert not {file for file in files if f"``{file}``" not in said}
