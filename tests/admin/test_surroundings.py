"""The dashboard in other projects: with another theme, user model, admin site, or database."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("surroundings", ["plain", "office", "people", "alias", "unfold"])
def test_it_works_in(surroundings, tmp_path):
    if surroundings == "unfold" and importlib.util.find_spec("unfold") is None:
        pytest.skip("django-unfold is not installed")
    command = [sys.executable, "-m", "tests.admin.surroundings", surroundings, str(tmp_path)]
    process = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=50, check=False
    )
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
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False)
    assert process.returncode == 0, process.stderr[-3000:]
    assert process.stdout.startswith("Hello Ann")
