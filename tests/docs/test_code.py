"""The Python in README and docs runs: block after block of a page, in the shop. What bodies ask of ``ctx`` is there."""

import ast
import inspect
import sys
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import django
import pytest
from django.utils.module_loading import import_string

from django_scheduler import Context, conf, crons, ctx
from django_scheduler.crons.definitions import Definitions
from django_scheduler.crons.run_time import Crons
from django_scheduler.functions import registry
from django_scheduler.models import ScheduledFunction, State
from django_scheduler.scheduling.scheduler import Scheduler
from tests.docs.blocks import PAGES, ROOT, Block, blocks

pytestmark = pytest.mark.once

#: Run word for word by tests of their own: as a project from nothing, as tests, and as projects that are monitored or
#: charge cards.
RUN_ELSEWHERE = {"tutorial.md", "testing.md", "recipes.md"}
RUN_HERE = [page for page in PAGES if page.name not in RUN_ELSEWHERE and blocks(page, "python")]
PYTHON = [block for page in PAGES for block in blocks(page, "python")]

HOMES: dict[str, Any] = {"ctx": Context, "ctx.scheduler": Scheduler, "ctx.crons": Crons, "crons": crons}


@pytest.fixture
def reader(monkeypatch, db) -> dict[str, Any]:
    """What blocks use without saying where it comes from, because whoever reads them has it."""
    for name in ("orders", "orders.models"):
        monkeypatch.setitem(sys.modules, name, import_module(f"testproject.{name}"))
    monkeypatch.setattr(registry, "_functions", {})
    monkeypatch.setattr("django_scheduler.crons.definitions.defined_crons", Definitions())
    module = ModuleType("testproject.orders.documentation")
    for name in (module.__name__, "orders.functions", "shop.request_ids"):
        monkeypatch.setitem(sys.modules, name, module)
    # tests/middleware/test_django_tenants.py has the real one.
    monkeypatch.setitem(sys.modules, "django_tenants.utils", SimpleNamespace(schema_context=None))
    vars(module).update(
        BASE_DIR=ROOT,
        DATABASES={"default": {}},
        batch=SimpleNamespace(id=7),
        shop=SimpleNamespace(pk=7, time_zone="Europe/Paris", save=lambda: None),
    )
    return vars(module)


@pytest.mark.parametrize("page", RUN_HERE, ids=lambda page: page.name)
def test_blocks_run(page: Path, reader):
    if page.name == "django-tasks.md" and django.VERSION < (6, 1):
        pytest.skip("The page shows what the decorator of Django 6.1 takes.")
    for block in blocks(page, "python"):
        if "(function_id)" in block.text:
            reader["function_id"] = ctx.scheduler.run_after(timedelta(days=1), reader["archive_order"], order_id=7)
        if "run_again(" in block.text:
            ended_id = ctx.scheduler.run_after(0, reader["archive_order"], order_id=7)
            ScheduledFunction.objects.filter(pk=ended_id).update(state=State.FAILED)
        exec(compile("\n" * block.line + block.text, str(page.relative_to(ROOT)), "exec"), reader)
        conf._from_dict(reader.get(conf.NAME, {}))
        for backend in reader.get("TASKS", {}).values():
            if django.VERSION >= (6, 0) and backend["BACKEND"].startswith("django_scheduler."):
                import_string(backend["BACKEND"])


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_what_bodies_ask_of_ctx_is_there_and_takes_what_it_is_given(block: Block):
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.Attribute) and (home := HOMES.get(ast.unparse(node.value))):
            assert hasattr(home, node.attr), ast.unparse(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            home = HOMES.get(ast.unparse(node.func.value))
            if home and not any(isinstance(argument, ast.Starred) for argument in node.args):
                itself = [None] if inspect.isclass(home) else []
                keywords = {keyword.arg: None for keyword in node.keywords if keyword.arg}
                inspect.signature(getattr(home, node.func.attr)).bind(*itself, *node.args, **keywords)


def test_there_is_code():
    assert len(PYTHON) >= 40
    assert len(RUN_HERE) >= 14
