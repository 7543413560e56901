"""The wheel and the sdist have all that they need, and nothing that they do not."""

import ast
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT

PACKAGE = ROOT / "django_scheduler"
LEFT_OUT = {".pyc", ".po"}


def shipped_files() -> set[str]:
    files = subprocess.run(
        [
            "git",
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "django_scheduler",
            "django_scheduler_functions",
        ],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    if files.returncode:
        pytest.skip("This is no checkout of git, so nobody knows which files belong to it.")
    return {name for name in files.stdout.splitlines() if Path(name).suffix not in LEFT_OUT and (ROOT / name).exists()}


def test_the_wheel_has_every_file_of_the_package(distributions):
    (wheel,) = distributions.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert not shipped_files() - names
    assert not {name for name in names if name.split("/")[0] in {"tests", "testproject", "benchmarks"}}
    for needed in ("py.typed", "migrations/0001_initial.py", "locale/de/LC_MESSAGES/django.mo"):
        assert f"django_scheduler/{needed}" in names
    assert "django_scheduler_functions/__init__.pyi" in names  # type checkers find it where they find the package
    assert any(name.endswith(".html") for name in names)
    assert any("/static/" in name for name in names)


def test_whoever_has_only_the_wheel_has_the_pages(distributions):
    (wheel,) = distributions.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    names = set(archive.namelist())
    assert {f"django_scheduler/docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= names
    assert not [name for name in names if name.endswith(".png")]  # three megabytes
    cited = {
        page
        for name in names
        if name.endswith(".py")
        for page in re.findall(r"\bdocs/[\w-]+\.md", archive.read(name).decode())
    }
    assert len(cited) > 5
    assert {f"django_scheduler/{page}" for page in cited} <= names


def test_what_the_package_shows_is_enough_by_itself():
    """A hint, an error or a line of the log is read where there may be no page, no source and no network."""
    elsewhere = re.compile(r"docs/|\.md\b|README|\w/\w+\.py|https://")
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text())
        docstrings = {
            id(statement.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            for statement in node.body[:1]
            if isinstance(statement, ast.Expr)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                assert not elsewhere.search(node.value), f"{file}:{node.lineno}"


def test_what_is_installed_is_called_as_the_pages_say_and_not_as_another_project_on_the_index(distributions):
    (wheel,) = distributions.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    name = re.search(r"^Name: (.+)$", archive.read(metadata).decode(), re.MULTILINE)
    assert name
    assert name[1] == "django-ctx-scheduler"
    installed = [each for page in PAGES for each in re.findall(r"pip install \"?(django[\w-]*)", page.read_text())]
    assert {*installed} <= {name[1]}


def test_the_sdist_has_them_too_and_can_be_tested(distributions):
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert not shipped_files() - names
    assert {"README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", "Makefile", "tests/conftest.py"} <= names
    assert not {name for name in names if name.startswith((".venv", ".git/", ".django-source", "site/"))}


@pytest.mark.thorough
def test_the_wheel_is_what_is_imported(environment):
    python = environment.binaries / "python"
    ask = [python, "-I", "-c", "import django_scheduler; print(django_scheduler.__file__)"]
    done = subprocess.run(ask, check=True, capture_output=True, text=True, cwd=environment.directory)
    assert str(environment.directory) in done.stdout
