"""The reference has every setting, option and page that there is, and none that there is not."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import BaseCommand, get_commands, load_command_class

import django_scheduler
from django_scheduler import conf
from tests.docs.blocks import PAGES, ROOT

DJANGO_OPTIONS = set(re.findall(r"--[a-z][a-z-]*", BaseCommand().create_parser("manage.py", "any").format_usage()))
COMMANDS = sorted(name for name, app in get_commands().items() if app == "django_scheduler")


def test_every_setting_is_documented():
    documented = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs/settings.md").read_text(), re.MULTILINE)
    assert documented == list(conf.NAMES)


def test_every_command_is_documented():
    documented = re.findall(r"^## (\w+)$", (ROOT / "docs/commands.md").read_text(), re.MULTILINE)
    assert sorted(documented) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_documented(command):
    _, _, section = (ROOT / "docs/commands.md").read_text().partition(f"## {command}\n")
    section, _, _ = section.partition("\n## ")
    documented = set(re.findall(r"^\| `(--[\w-]+)", section, re.MULTILINE))
    parser = load_command_class("django_scheduler", command).create_parser("manage.py", command)
    options = set(re.findall(r"--[a-z][a-z-]*", parser.format_usage())) - DJANGO_OPTIONS
    assert documented == options


def test_every_page_has_its_place():
    navigation = set(re.findall(r"(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert navigation == {page.name for page in PAGES if page.parent == ROOT / "docs"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_everything_public_is_in_the_api():
    text = (ROOT / "docs/api.md").read_text()
    for name in set(django_scheduler.__all__) - {"ScheduledFunctionId"}:
        assert re.search(rf"\b{name}\b", text), name


@pytest.mark.only_on("sqlite")
def test_the_site_can_be_built(tmp_path):
    if subprocess.run(
        [sys.executable, "-c", "import material, mkdocstrings"], check=False, capture_output=True
    ).returncode:
        pytest.skip("MkDocs is not installed here: `make docs` builds the site.")
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, check=False, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
