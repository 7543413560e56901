"""The middleware of ``docs/middleware.md`` has functions run in the schema of the tenant that has scheduled them."""

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection

from tests.docs.blocks import ROOT

pytestmark = [
    pytest.mark.only_on("postgresql"),
    pytest.mark.thorough,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(importlib.util.find_spec("django_tenants") is None, reason="django-tenants is not installed"),
]


@pytest.fixture
def database_of_tenants(transactional_db) -> Iterator[str]:
    """The address of another database, which is empty."""
    name = f"{connection.settings_dict['NAME']}_tenants"
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{name}"')
    try:
        yield urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def site_of_tenants(database_of_tenants) -> dict[str, Any]:
    """What a site has on record once two tenants have scheduled and an executor has executed it all."""
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.middleware.tenants"],
        env={**os.environ, "DATABASE_URL": database_of_tenants, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert process.returncode == 0, process.stderr
    seen: dict[str, Any] = json.loads(process.stdout)
    return seen


def test_functions_run_in_the_schema_of_their_tenant_and_so_does_what_they_schedule(site_of_tenants):
    functions = site_of_tenants["functions"]
    counted = [each for each in functions if each["name"] in ("shop:count", "shop:count_async")]
    others = [each for each in functions if each not in counted]

    assert site_of_tenants["sold"] == {"acme": [0, 1, 2], "bolt": [-2, -1, 0]}
    assert Counter((each["name"], each["context"]["schema"], each["state"], each["result"]) for each in others) == {
        ("shop:sell", "acme", "success", "acme"): 3,
        ("shop:sell", "bolt", "success", "bolt"): 3,
        ("shop:sell_and_fail", "bolt", "failed", None): 1,
        ("shop:tell_schema", "public", "success", "public"): 1,
    }
    assert Counter((each["name"], each["context"]["schema"]) for each in counted) == {
        ("shop:count", "acme"): 3,
        ("shop:count", "bolt"): 3,
        ("shop:count_async", "acme"): 3,
        ("shop:count_async", "bolt"): 3,
    }
    assert all(each["state"] == "success" and 1 <= each["result"] <= 3 for each in counted)
