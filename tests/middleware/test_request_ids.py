"""The example of request ids in ``docs/middleware.md``, as a project would have it."""

import os

import pytest

from tests.docs.blocks import ROOT, blocks
from tests.support import forked_processes

pytestmark = pytest.mark.once

SETTINGS = """
from tests.settings import *

INSTALLED_APPS = [*INSTALLED_APPS, "shop"]
LOGGING = {
    "version": 1,
    "filters": {"request_id": {"()": "shop.request_ids.RequestIdFilter"}},
    "formatters": {"line": {"format": "[{request_id}] {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "filters": ["request_id"], "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
DJANGO_SCHEDULER = {"MIDDLEWARE": ["shop.middleware.RequestIdMiddleware"]}
"""

FUNCTIONS = """
import logging

from django_scheduler import Context, mutation


@mutation
def greet(ctx: Context) -> None:
    logging.getLogger("shop").info("hello")
"""

SERVE_ONE_REQUEST = """
import django
django.setup()
from django.core.management import call_command
from django.test import RequestFactory
from django_scheduler import ctx
from django_scheduler.middleware import RequestContextMiddleware

def view(request):
    ctx.scheduler.run_after(0, "shop:greet")

RequestContextMiddleware(view)(RequestFactory().get("/", headers={"X-Request-ID": "req-7"}))
call_command("runscheduler", "--once", "--processes=0", "--concurrency=1")
"""


@pytest.mark.timeout(90)
def test_what_a_body_logs_has_the_id_of_the_request(transactional_db, child_environment, tmp_path):
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "__init__.py").touch()
    (shop / "functions.py").write_text(FUNCTIONS)
    (shop / "settings.py").write_text(SETTINGS)
    examples = [each for each in blocks(ROOT / "docs" / "middleware.md", "python") if each.title.startswith("shop/")]
    assert len(examples) == 2
    for example in examples:
        (tmp_path / example.title).write_text(example.text)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])

    environment = {**child_environment, "PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": "shop.settings"}
    process = forked_processes.run(["-c", SERVE_ONE_REQUEST], environment)

    assert process.returncode == 0, process.stderr
    assert "[req-7] shop hello" in process.stderr.splitlines()
