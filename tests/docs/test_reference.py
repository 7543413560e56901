"""The reference has every setting, option and page that there is, and none that there is not."""

import ast
import dataclasses
import html
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.core.management import BaseCommand, get_commands, load_command_class
from django.dispatch import Signal
from prometheus_client import CollectorRegistry

import django_scheduler
from django_scheduler import conf, crons, errors, models, signals, testing
from django_scheduler.contrib.prometheus.metrics import Metrics, StatusCollector
from django_scheduler.databases.mysql import MySQL
from django_scheduler.databases.postgresql.database import POLL_INTERVAL_WITHOUT_WAKEUPS, PostgreSQL
from django_scheduler.databases.sqlite import SQLite
from django_scheduler.functions import Options
from django_scheduler.models import Failure
from django_scheduler.scheduling import InterventionResult
from django_scheduler.scheduling.interventions_by_id import InterventionsById
from django_scheduler.scheduling.scheduler import Scheduler
from django_scheduler.testing import ManualScheduler
from tests.docs.blocks import PAGES, ROOT

PACKAGE = ROOT / "django_scheduler"
MONITORING = (ROOT / "docs/monitoring.md").read_text()

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


def test_every_option_of_the_decorators_is_documented_with_its_default():
    rows = re.findall(r"^\| `(\w+)`[^|]* \| ([^|]+) \|", (ROOT / "docs/api.md").read_text(), re.MULTILINE)
    for option in dataclasses.fields(Options):
        (default,) = [cell for name, cell in rows if name == option.name]
        if option.name not in {"name", "timeout", "retention"}:  # in words
            assert value_of(default) == option.default, option.name
        assert f"``{option.name}``" in (django_scheduler.mutation.__doc__ or "")


def test_every_page_has_its_place():
    navigation = set(re.findall(r"(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert navigation == {page.name for page in PAGES if page.parent == ROOT / "docs"}


def test_the_first_page_leads_to_every_other_one_and_says_what_it_is_for():
    navigation = re.findall(r"(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    rows = re.findall(
        r"^\| \[[^]]+\]\(([\w-]+\.md)\) \| ([^|]{8,}) \|$", (ROOT / "docs/index.md").read_text(), re.MULTILINE
    )
    assert ["index.md", *(page for page, _ in rows)] == navigation


def test_the_readme_is_two_screens():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_the_readme_compares_as_the_page_of_comparison_does():
    def tables(page: str) -> dict[str, dict[str, str]]:
        text = re.sub(r"\]\((?:docs/)?([^)]*)\)", r"](\1)", (ROOT / page).read_text())
        rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in text.splitlines() if row.startswith("| ")]
        (head,) = [row for row in rows if row[1] == "here"]
        return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows if len(row) == len(head)}

    here, there = tables("README.md"), tables("docs/comparison.md")
    assert len(here) > 8
    for row, cells in here.items():
        assert cells.items() <= there[row].items(), row


@pytest.mark.parametrize(("home", "names"), [("settings.md", "|".join(conf.NAMES)), ("commands.md", r"--[\w-]+")])
def test_settings_and_options_of_commands_are_listed_in_one_place(home, names):
    row = re.compile(rf"^\| `(?:{names})\b", re.MULTILINE)
    assert [page.name for page in PAGES if row.search(page.read_text())] == [home]


FOR_CONTRIBUTORS = {
    *("architecture.md", "decisions.md", "proofs.md", "benchmarks.md"),
    *("CONTRIBUTING.md", "CHANGELOG.md"),
}


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in FOR_CONTRIBUTORS], ids=lambda page: page.name
)
def test_pages_for_users_send_nobody_to_our_sources(page: Path):
    text = re.sub(r"admin/django_scheduler/", "", page.read_text())  # of templates
    assert re.findall(r"\b(?:tests|testproject|benchmarks|django_scheduler)/[\w/.]*", text) == []
    assert re.findall(r"\b(?:from|import) (?:tests|testproject)\b", text) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text()):
        if not target.startswith("https://"):
            linked = page.parent / target if target else page
            assert linked.exists(), target
            assert not anchor or anchor in anchors_of(linked), f"{target}#{anchor}"


def anchors_of(page: Path) -> set[str]:
    """Return what a link into a page can name: its headings, in small letters, without what is no letter."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    words = [re.sub(r"\]\([^)]*\)|[^\w\s-]", "", heading).strip().lower() for heading in headings]
    return {word.replace(" ", "-") for word in words}


@pytest.mark.parametrize("module", [django_scheduler, crons, testing], ids=lambda module: module.__name__)
def test_everything_public_is_in_the_api(module):
    text = (ROOT / "docs/api.md").read_text()
    modules = {name for name in module.__all__ if inspect.ismodule(getattr(module, name))}  # for our own packages
    for name in set(module.__all__) - modules - {"ScheduledFunctionId", "Schedule"}:
        assert re.search(rf"\b{name}\b", text), name


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation as a site."""
    if subprocess.run(
        [sys.executable, "-c", "import material, mkdocstrings"], check=False, capture_output=True
    ).returncode:
        pytest.skip("MkDocs is not installed here: `make docs` builds the site.")
    directory = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(directory)]
    done = subprocess.run(build, cwd=ROOT, check=False, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    return directory


@pytest.mark.thorough
def test_the_site_can_be_built(site):
    assert (site / "index.html").exists()


def headings_of(page: Path) -> dict[str, str]:
    """What the reference has under the name by which it is imported, and the heading that it is shown with."""
    text = page.read_text()
    found = re.findall(r'<h\d id="(django_scheduler[\w.]*)"[^>]*>(.*?)</h\d>', text, re.DOTALL)
    return {name: html.unescape(re.sub(r"<[^>]+>|\s+", "", heading)) for name, heading in found}


def public_names() -> Iterator[str]:
    """Name everything that ``api.md`` promises: the names of our packages for users, and their members."""
    for package in (crons, testing):
        yield from (f"{package.__name__}.{name}" for name in package.__all__)
    yield from (
        f"django_scheduler.errors.{name}"
        for name, cls in vars(errors).items()
        if inspect.isclass(cls) and cls.__module__ == errors.__name__
    )
    yield from (f"django_scheduler.signals.{name}" for name in SIGNALS)
    for owner in (Scheduler, InterventionsById):
        yield from (f"django_scheduler.scheduling.scheduler.Scheduler.{name}" for name in methods_of(owner))
    for result in InterventionResult.__members__:
        yield f"django_scheduler.scheduling.cancellation.InterventionResult.{result}"
    yield from (f"django_scheduler.crons.Crons.{name}" for name in methods_of(crons.Crons))
    yield from (f"django_scheduler.testing.ManualScheduler.{name}" for name in methods_of(ManualScheduler))
    for home, choices in (
        *(("models", choices) for choices in (models.State, models.Failure)),
        *(("crons", choices) for choices in (crons.CronState, crons.CronRunState, crons.Origin)),
    ):
        yield from (f"django_scheduler.{home}.{choices.__name__}.{member}" for member in choices.__members__)
    for field in models.ScheduledFunction._meta.concrete_fields:
        yield f"django_scheduler.models.ScheduledFunction.{field.name}"


def methods_of(cls: type) -> list[str]:
    return [name for name, value in vars(cls).items() if inspect.isfunction(value) and not name.startswith("_")]


SIGNALS = {name: value for name, value in vars(signals).items() if isinstance(value, Signal)}

#: What this package has for others of ours.
NOT_IN_THE_REFERENCE = {
    *("crons.Schedule", "crons.definitions", "crons.firing", "crons.history", "crons.line_syntax", "crons.reconcile"),
}


@pytest.mark.thorough
def test_the_built_reference_has_everything_that_is_public_where_it_is_imported_from(site):
    headings = headings_of(site / "api.html")
    missing = [name for name in public_names() if name not in headings]
    assert [name for name in missing if name.removeprefix("django_scheduler.") not in NOT_IN_THE_REFERENCE] == []


@pytest.mark.thorough
def test_the_built_reference_has_nothing_that_cannot_be_imported_from_there(site):
    for name in headings_of(site / "api.html"):
        module, *attributes = "django_scheduler", *name.split(".")[1:]
        found: Any = import_module(module)
        for attribute in attributes:
            if inspect.ismodule(found) and not hasattr(found, attribute):
                found = import_module(f"{found.__name__}.{attribute}")
            elif isinstance(found, type) and attribute in vars(found).get("__annotations__", ()):
                break  # of a dataclass or a model
            else:
                found = getattr(found, attribute)


@pytest.mark.thorough
@pytest.mark.parametrize("schedule", ["Interval", "CronLine", "Hourly", "Daily", "Weekly", "Monthly"])
def test_the_built_reference_shows_what_each_schedule_takes(schedule, site):
    heading = headings_of(site / "api.html")[f"django_scheduler.crons.{schedule}"]
    for parameter in list(inspect.signature(getattr(crons, schedule)).parameters):
        assert re.search(rf"\b{parameter}\b", heading), heading


LOGGING_FUNCTIONS = {"log", "_log", "log_of_crons", "warn", "report"}


def messages_of(file: Path) -> Iterator[str]:
    """Find what a module logs: in the call, or as a variable ``message``."""
    for node in ast.walk(ast.parse(file.read_text())):
        found: list[ast.expr] = []
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in LOGGING_FUNCTIONS:
                found = node.args[:2]
            case ast.Assign(targets=[ast.Name(id="message"), *_]):
                found = [node.value]
        for each in found:
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                yield each.value


def test_every_log_record_is_documented():
    documented = re.findall(r"`([^`]+)`", (ROOT / "docs/logging.md").read_text())
    logged = {message for file in PACKAGE.rglob("*.py") for message in messages_of(file)}
    assert len(logged) > 50
    for message in sorted(logged):
        messages = [message, f"%s %s: {message}"]  # an execution begins its own with the name and the id
        assert any(is_shown_as(each, shown) for each in messages for shown in documented), message


def is_shown_as(message: str, shown: str) -> bool:
    """Whether they are the same word by word: a word with ``%s`` in one is any word in the other, up to an ellipsis."""
    words, shown_words = message.split(), shown.removesuffix("…").split()
    if shown.endswith("…"):
        words = words[: max(3, len(shown_words))]
    return len(words) == len(shown_words) and all(
        "%" in word or word == other for word, other in zip(words, shown_words, strict=True)
    )


@pytest.mark.django_db
def test_every_metric_is_documented():
    registry = CollectorRegistry()
    Metrics(registry)
    metrics = [*registry.collect(), *StatusCollector(None).collect()]
    names = {metric.name + "_total" * (metric.type == "counter") for metric in metrics}
    assert names == set(re.findall(r"^\| `(django_scheduler_\w+)` \|", MONITORING, re.MULTILINE))


@pytest.mark.parametrize("page", ["crons-reference.md", "django-tasks.md"])
def test_checks_of_other_parts_are_documented_where_they_are_explained(page):
    parts = {"crons-reference.md": ("checks/crons.py", "E1"), "django-tasks.md": ("tasks/backend.py", "E2")}
    file, prefix = parts[page]
    registered = set(re.findall(rf"\b{prefix}\d\d\b", (PACKAGE / file).read_text()))
    assert registered
    assert registered <= set(re.findall(r"E\d{3}", (ROOT / "docs" / page).read_text()))


def test_every_signal_is_documented_with_its_arguments():
    names = {name for name, value in vars(signals).items() if isinstance(value, Signal)}
    assert names == set(re.findall(r"^\| `((?:function|attempt)_\w+)` \|", MONITORING, re.MULTILINE))


def test_every_reason_of_failure_is_documented():
    for page in (ROOT / "docs/record.md", ROOT / "docs/logging.md"):
        for failure in Failure.values:
            assert f"`{failure}`" in page.read_text()


#: Columns of ``ScheduledFunction`` that serve executors alone.
INTERNAL_COLUMNS = {"callbacks", "handed_over", "unknown_since", "unknown_to"}


def test_every_column_and_state_of_the_record_is_documented():
    text, _, _ = (ROOT / "docs/record.md").read_text().partition("\n## Other tables\n")
    first_cells = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    documented = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    columns = {field.name for field in models.ScheduledFunction._meta.concrete_fields} - INTERNAL_COLUMNS
    assert documented == columns | {*models.State.values, *Failure.values}


@pytest.mark.parametrize(
    ("page", "model"),
    [
        *(("record.md", model) for model in (models.Batch, models.Key, models.Executor)),
        *(("crons-reference.md", model) for model in (crons.Cron, crons.CronRun)),
    ],
    ids=str,
)
def test_every_column_of_other_tables_is_documented(page, model):
    _, _, table = (ROOT / "docs" / page).read_text().partition(f"| field of `{model.__name__}` |")
    table, _, _ = table.partition("\n\n")
    first_cells = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    columns = {field.name for field in model._meta.concrete_fields} - {"callbacks"}
    assert {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)} == columns


UNITS: dict[str, Any] = {
    "MiB": 1024 * 1024,
    "s": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "days": timedelta(days=1),
}


def value_of(cell: str) -> object:
    """The default that a table names: a literal, a number, a size or a duration."""
    if literal := re.match(r"`([^`]+)`", cell):
        return ast.literal_eval(literal[1])
    number, _, unit = cell.replace(",", "").partition(" ")
    return float(number) * UNITS[unit] if unit else int(number)


def test_defaults_are_those_of_the_code():
    settings = (ROOT / "docs/settings.md").read_text()
    documented = dict(re.findall(r"^\| `([A-Z_]+)` \| ([^|]+) \|", settings, re.MULTILINE))
    assert len(documented) >= 12
    assert {name: value_of(cell) for name, cell in documented.items()} == {
        name: getattr(conf.Settings(), name) for name in documented
    }


def test_how_often_each_database_is_polled():
    (row,) = re.findall(r"^\| `POLL_INTERVAL` .*", (ROOT / "docs/settings.md").read_text(), re.MULTILINE)
    assert f"{PostgreSQL.poll_interval:g} s on PostgreSQL" in row
    assert f"{MySQL.poll_interval:g} s on MySQL and MariaDB" in row
    assert f"{SQLite.poll_interval:g} s on SQLite" in row
    assert MySQL.poll_interval == POLL_INTERVAL_WITHOUT_WAKEUPS
    assert "behind a [pooler]" in row
