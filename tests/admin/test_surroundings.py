"""The dashboard in other projects: with another theme, user model, admin site, or database."""

import importlib.util
import os
import subprocess

import pytest

from tests.support import forked_processes


def run_without_settings(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``python ARGUMENTS``, which has its own settings."""
    environment = {**os.environ, **forked_processes.ENVIRONMENT}
    del environment["DJANGO_SETTINGS_MODULE"]
    return forked_processes.run(arguments, environment)


@pytest.mark.parametrize(
    "surroundings",
    ["sites", "people", *(pytest.param(each, marks=pytest.mark.thorough) for each in ("office", "unfold"))],
)
def test_it_works_in(surroundings, tmp_path):
    if surroundings == "unfold" and importlib.util.find_spec("unfold") is None:
        pytest.skip("django-unfold is not installed")
    process = run_without_settings("-m", "tests.admin.surroundings", surroundings, str(tmp_path))
    assert process.returncode == 0, process.stderr[-3000:]


def test_a_site_without_the_admin_renders_its_templates():
    # Django imports the template tags of every installed app, whether a template loads them or not.
    script = """
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django_scheduler"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
)
django.setup()

from django.core.management import call_command
from django.template import engines

print(engines["django"].from_string("Hello {{ name }}").render({"name": "Ann"}))
call_command("check")
"""
    process = run_without_settings("-c", script)
    assert process.returncode == 0, process.stderr[-3000:]
    assert process.stdout.startswith("Hello Ann")
