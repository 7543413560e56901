"""The code in README and docs can be compiled, and what it imports from this package is there."""

import ast
import importlib

import pytest

from tests.docs.blocks import PAGES, Block, blocks

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


def test_there_is_code():
    assert len(PYTHON) >= 30
