"""Crons in code: found as functions are, and checked before anything runs."""

from datetime import timedelta

import pytest
from django.core.checks import run_checks

from django_scheduler import Context, crons, internal, mutation
from django_scheduler.crons import definitions as module
from tests.api.test_discovery import start  # noqa: F401  (a fixture)
from tests.crons.functions import tick

pytestmark = pytest.mark.django_db  # some of Django's own checks ask the database

LIST = """
import django; django.setup()
from django_scheduler.crons.definitions import defined_crons
print(*[f"{cron.name}={cron.target().name}" for cron in defined_crons])
"""

CHECK = """
import django; django.setup()
from django.core.management import call_command; call_command("check")
"""


@mutation
def move(ctx: Context, *, minutes: int, distance: int = 1) -> None: ...


def problems():
    return [(message.id, message.msg) for message in run_checks() if "_scheduler.E10" in str(message.id)]


def test_crons_of_the_modules_functions_and_crons_are_known_without_an_import(start, tmp_path):  # noqa: F811
    (tmp_path / "bakery" / "crons.py").write_text(
        "from django_scheduler import crons\nfrom bakery.recipes.bread import bake\n"
        "crons.cron('open', '0 6 * * mon-sat', bake)\n"
    )
    process = start("from django_scheduler import crons\n@mutation\ndef sell(ctx): ...\ncrons.hourly('s', sell)", LIST)
    assert process.stdout.split() == ["s=bakery:sell", "open=bakery:bake"], process.stderr


def test_a_wrong_cron_is_told_by_manage_py_check_with_its_place(start):  # noqa: F811
    process = start("from django_scheduler import crons\ncrons.cron('gone', '0 0 30 2 *', 'bakery:gone')", CHECK)
    assert process.returncode != 0
    assert "(django_scheduler.E101) The cron 'gone' (" in process.stderr
    assert "functions.py:3): The cron line '0 0 30 2 *' is not valid" in process.stderr
    assert "django_scheduler.E102" in process.stderr


def test_every_way_to_define_a_cron_is_without_a_problem():
    crons.interval("every so often", tick, every=timedelta(minutes=1), label="x", catch_up="none")
    crons.interval("every second", tick, seconds=1)
    crons.cron("by line", "*/5 8-18 * * mon-fri", "tests:tick", timezone="Europe/Berlin", pause_after_failures=3)
    crons.cron("by line with a minute of its own", "H 8 * * *", tick)
    crons.hourly("hourly", tick)
    crons.daily("daily", internal.tests.write_internally, hour=7, label="x")
    crons.weekly("weekly", tick, day="sunday", hour=7, minute=5)
    crons.monthly("monthly", tick, day=31, hour=7)
    crons.register("by schedule", crons.Interval(minutes=1), move, minutes=5)
    assert problems() == []


@pytest.mark.parametrize(
    ("define", "check_id", "message"),
    [
        (lambda: crons.interval("x", tick), "E101", "takes exactly one of"),
        (lambda: crons.interval("x", tick, seconds=1, hours=1), "E101", "seconds and hours are given"),
        (lambda: crons.cron("x", "0 0 30 2 *", tick), "E101", "'0 0 30 2 *' is not valid"),
        (lambda: crons.cron("x", "0 0 * * *", tick, timezone="Mars"), "E101", "no time zone 'Mars'"),
        (lambda: crons.daily("x", tick, hour=25), "E101", "hour must be"),
        (lambda: crons.weekly("x", tick, day="so", hour=2), "E101", "day must be one of monday"),  # type: ignore[arg-type]
        (lambda: crons.hourly("Käse", tick), "E101", "printable ASCII"),
        (lambda: crons.hourly("", tick), "E101", "printable ASCII"),
        (lambda: crons.register("x", "0 0 * * *", tick), "E101", "A schedule is"),  # type: ignore[call-overload]
        (lambda: crons.hourly("x", "tests:tik"), "E102", "Did you mean 'tests:tick'?"),
        (lambda: crons.hourly("x", internal.tests.tick), "E102", "Did you mean api.tests.tick?"),
        (lambda: crons.hourly("x", print), "E102", "print is not a scheduled function"),  # type: ignore[arg-type]
        (lambda: crons.hourly("x", tick, lable="x"), "E103", "unexpected keyword argument 'lable'"),
        (lambda: crons.hourly("x", tick, label=object()), "E103", "label"),
        (lambda: crons.daily("x", move, hour=1), "E103", "missing a required"),
        (lambda: crons.interval("x", move, minutes=1), "E103", "which is an option of the cron here"),
    ],
)
def test_what_is_wrong_is_an_error_of_its_own(define, check_id, message):
    define()
    crons.hourly("y", tick)
    found = problems()
    assert found[0][0] == f"django_scheduler.{check_id}"
    assert message in " ".join(text for _, text in found)
    assert all("'y'" not in text for _, text in found)


@pytest.mark.parametrize("other", ["a cron", "A Cron"])
def test_names_are_unique_whatever_the_case(other):
    crons.hourly("a cron", tick)
    crons.hourly(other, tick)
    ((check_id, message),) = problems()
    assert check_id == "django_scheduler.E104"
    assert "named 'a cron'" in message


def test_a_module_that_is_loaded_again_replaces_its_crons():
    for _ in range(2):
        crons.hourly("a cron", tick)
    assert problems() == []
    assert len(list(module.defined_crons)) == 1
