"""The code in README and docs can be compiled, and what it imports from this package is there."""

import ast
import importlib
from datetime import timedelta

import pytest

from django_scheduler import Context, conf, crons
from django_scheduler.crons.run_time import Crons
from django_scheduler.scheduler import Scheduler
from tests.docs.blocks import PAGES, Block, blocks

MUTATION = {"name", "queue", "priority", "timeout", "alone"}
OPTIONS = {
    "mutation": MUTATION,
    "internal_mutation": MUTATION,
    "action": MUTATION - {"alone"},
    "internal_action": MUTATION - {"alone"},
}
PYTHON = [block for page in PAGES for block in blocks(page, "python")]


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_compiles_and_imports_what_there_is(block: Block):
    # A body that is only told of is `...`; names that a block takes from the one before it are not looked up.
    tree = ast.parse(block.text, filename=str(block))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in {
            "django_scheduler",
            "testproject",
        }:
            assert node.module
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_what_it_asks_of_ctx_is_there(block: Block):
    homes = {"ctx": Context, "ctx.scheduler": Scheduler, "ctx.crons": Crons, "crons": crons}
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.Attribute) and (home := homes.get(ast.unparse(node.value))):
            assert hasattr(home, node.attr), ast.unparse(node)


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_what_it_gives_a_decorator_is_taken(block: Block):
    for node in ast.walk(ast.parse(block.text)):
        for decorator in getattr(node, "decorator_list", []):
            if isinstance(decorator, ast.Call) and (options := OPTIONS.get(ast.unparse(decorator.func))):
                assert {keyword.arg for keyword in decorator.keywords} <= options


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_settings_are_valid(block: Block):
    for node in ast.parse(block.text).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == conf.NAME:
            configured = eval(ast.unparse(node.value), {"timedelta": timedelta})
            for name, value in configured.items():
                assert name in conf.NAMES
                assert conf.invalid_value(name, value) is None


def test_there_is_code():
    assert len(PYTHON) >= 30
