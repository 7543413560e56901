"""Every recipe of ``docs/testing.md`` is a test that passes, in a project that has only installed the package."""

import os
import re
from pathlib import Path

from tests.support import forked_processes

ROOT = Path(__file__).parent.parent.parent

#: The page imports from the apps of whoever reads it; here these are the shop, and the app of the tests.
CONFTEST = """
import sys
from importlib import import_module

for app, home in {"orders": "testproject.orders", "notes": "tests"}.items():
    for module in ("", ".functions", ".models"):
        sys.modules[app + module] = import_module(home + module)
sys.modules["orders.services"] = import_module("testproject.orders.services")
sys.modules["notes.polling"] = import_module("tests.testing.functions")
"""


def test_the_recipes_of_the_documentation_work(tmp_path, monkeypatch):
    found = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/testing.md").read_text(), re.DOTALL | re.MULTILINE)
    recipes = [recipe for recipe in found if "from payments" not in recipe]  # those are in tests/docs/test_payments.py
    for number, recipe in enumerate(recipes):
        (tmp_path / f"test_recipe_{number}.py").write_text(recipe)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\nDJANGO_SETTINGS_MODULE = tests.settings\n")
    environment = {**os.environ, **forked_processes.ENVIRONMENT, "DATABASE_URL": "sqlite://:memory:"}
    monkeypatch.chdir(tmp_path)

    pytest_run = forked_processes.run(["-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)], environment)

    assert pytest_run.returncode == 0, pytest_run.stdout + pytest_run.stderr
    assert len(recipes) >= 6
    passed = re.search(r"(\d+) passed", pytest_run.stdout)
    assert passed
    assert int(passed[1]) >= len(recipes)


def test_the_plugin_does_no_harm_where_django_is_not_set_up(tmp_path, monkeypatch):
    (tmp_path / "test_other.py").write_text("def test_other():\n    pass\n")
    environment = {**os.environ, **forked_processes.ENVIRONMENT}
    del environment["DJANGO_SETTINGS_MODULE"]
    monkeypatch.chdir(tmp_path)

    pytest_run = forked_processes.run(
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:django", str(tmp_path)], environment
    )

    assert pytest_run.returncode == 0, pytest_run.stdout + pytest_run.stderr
