"""Whoever chooses permissions for somebody finds those that allow something, and no others."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import django_scheduler
from tests.admin import every_permission
from tests.admin.conftest import client_with
from tests.admin.every_permission import answers, asked, permissions, possible

pytestmark = [pytest.mark.django_db, pytest.mark.once]

#: With what somebody else may have already, a permission may allow more than alone.
SEE = frozenset({"view_scheduledfunction", "view_cron"})

PACKAGE = Path(django_scheduler.__file__).parent


@pytest.fixture(autouse=True)
def something_on_record() -> None:
    every_permission.set_up()


@pytest.mark.thorough
def test_each_permission_that_exists_allows_something_that_was_not_possible_without():
    without = cache(lambda codenames: possible(client_with(*codenames)))
    useless = {
        permission
        for permission in permissions()
        if not any(
            allows_more(others | {permission}, without(others))
            for others in (SEE - {permission}, (SEE | {"run_cron"}) - {permission}, frozenset())
        )
    }
    assert not useless


def allows_more(codenames: frozenset[str], without: dict[str, str]) -> bool:
    """Whether a request is answered in another way; those that come after the first such are not made."""
    return any(answer != without[name] for name, answer in answers(client_with(*codenames)))


def test_each_permission_that_is_asked_for_exists(settings):
    settings.AUTHENTICATION_BACKENDS = [
        "tests.admin.every_permission.Listens",
        "django.contrib.auth.backends.ModelBackend",
    ]
    asked.clear()
    for who in (SEE, permissions()):
        possible(client_with(*who))
    assert asked == permissions()


def test_each_permission_that_is_named_in_the_code_exists():
    named = {
        name
        for path in PACKAGE.rglob("*.py")
        for text in [path.read_text()]
        if "may(" in text
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "may"
        for name in re.findall(r"'(\w+)'\)$", ast.unparse(node))
    }
    assert named <= permissions()


def test_a_superuser_may_do_what_all_permissions_together_allow(admin_client):
    everything = possible(client_with(*permissions()))
    assert possible(admin_client) == everything
