"""What is promised to be supported is what ``nox`` runs."""

import ast
import tomllib

from tests.docs.blocks import ROOT
from tests.support.databases import DATABASES

MATRIX = {
    node.targets[0].id: ast.literal_eval(node.value)
    for node in ast.parse((ROOT / "noxfile.py").read_text()).body
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def classified(prefix: str) -> list[str]:
    versions = [name.removeprefix(prefix) for name in PROJECT["classifiers"] if name.startswith(prefix)]
    return [version for version in versions if version.replace(".", "").isdigit()]


def test_every_python():
    assert MATRIX["PYTHONS"] == [
        version for version in classified("Programming Language :: Python :: ") if version != "3"
    ]
    assert PROJECT["requires-python"] == f">={MATRIX['PYTHONS'][0]}"


def test_every_django():
    *others, newest = MATRIX["DJANGOS"]
    assert classified("Framework :: Django :: ") == [*others, newest]
    assert f"Django {', '.join(others)} and {newest} are supported" in (ROOT / "docs/installing.md").read_text()


def test_every_database():
    assert MATRIX["DATABASES"] == list(DATABASES)
