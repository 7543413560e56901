"""Crons in code: found as functions are, and checked before anything runs."""

from datetime import timedelta

import pytest
from django.core.checks import run_checks

from django_scheduler import Context, crons, internal, mutation
from django_scheduler.crons import definitions as module
from tests.crons.functions import tick

pytestmark = [pytest.mark.django_db, pytest.mark.once]  # some of Django's own checks ask the database

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


def test_crons_of_the_modules_functions_and_crons_are_known_without_an_import(start_django, tmp_path):
    (tmp_path / "bakery" / "crons.py").write_text(
        "from django_scheduler import crons\nfrom bakery.recipes.bread import bake\n"
        "crons.register('open', crons.CronLine('0 6 * * mon-sat'), bake)\n"
    )
    functions = "from django_scheduler import crons\n@mutation\ndef sell(ctx): ...\n"
    process = start_django(f"{functions}crons.register('s', crons.Hourly(), sell)", LIST)
    assert process.stdout.split() == ["s=bakery:sell", "open=bakery:bake"], process.stderr


def test_a_wrong_cron_is_told_by_manage_py_check_with_its_place(start_django):
    cron = "crons.register(' gone', crons.Hourly(), 'bakery:gone')"
    process = start_django(f"from django_scheduler import crons\n{cron}", CHECK)
    assert process.returncode != 0
    assert "(django_scheduler.E101) The cron ' gone' (" in process.stderr
    assert "functions.py:3): The name of a cron is made of printable ASCII" in process.stderr
    assert "django_scheduler.E102" in process.stderr


def test_a_schedule_that_cannot_be_is_an_error_where_it_is_made(start_django):
    cron = "crons.register('gone', crons.CronLine('0 0 30 2 *'), 'bakery:gone')"
    process = start_django(f"from django_scheduler import crons\n{cron}", CHECK)
    assert process.returncode != 0
    assert 'functions.py", line 3' in process.stderr
    assert "InvalidSchedule: The cron line '0 0 30 2 *' is not valid" in process.stderr


def test_every_way_to_define_a_cron_is_without_a_problem():
    crons.register("every so often", crons.Interval(every=timedelta(minutes=1), catch_up="none"), tick, label="x")
    crons.register("every second", crons.Interval(seconds=1), tick)
    crons.register(
        "by line",
        crons.CronLine("*/5 8-18 * * mon-fri", timezone="Europe/Berlin", pause_after_failures=3),
        "tests:tick",
    )
    crons.register("by line with a minute of its own", crons.CronLine("H 8 * * *"), tick)
    crons.register("hourly", crons.Hourly(), tick)
    crons.register("daily", crons.Daily(hour=7), internal.tests.write_internally, label="x")
    crons.register("weekly", crons.Weekly(day="sunday", hour=7, minute=5), tick)
    crons.register("monthly", crons.Monthly(day=31, hour=7), tick)
    crons.register("by schedule", crons.Interval(minutes=1), move, minutes=5)
    assert problems() == []


@pytest.mark.parametrize(
    ("define", "check_id", "message"),
    [
        (lambda: crons.register("Käse", crons.Hourly(), tick), "E101", "printable ASCII"),
        (lambda: crons.register("", crons.Hourly(), tick), "E101", "printable ASCII"),
        (lambda: crons.register("x", "0 0 * * *", tick), "E101", "A schedule is"),  # type: ignore[call-overload]
        (lambda: crons.register("x", crons.Hourly(), "tests:tik"), "E102", "Did you mean 'tests:tick'?"),
        (lambda: crons.register("x", crons.Hourly(), internal.tests.tick), "E102", "Did you mean api.tests.tick?"),
        (lambda: crons.register("x", crons.Hourly(), print), "E102", "print is not a mutation or an action"),  # type: ignore[call-overload]
        (lambda: crons.register("x", crons.Hourly(), tick, lable="x"), "E103", "unexpected keyword argument 'lable'"),  # type: ignore[call-overload]
        (lambda: crons.register("x", crons.Hourly(), tick, label=object()), "E103", "label"),  # type: ignore[call-overload]
        (lambda: crons.register("x", crons.Daily(hour=1), move), "E103", "missing a required"),  # type: ignore[call-overload]
    ],
)
def test_what_is_wrong_is_an_error_of_its_own(define, check_id, message):
    define()
    crons.register("y", crons.Hourly(), tick)
    found = problems()
    assert found[0][0] == f"django_scheduler.{check_id}"
    assert message in " ".join(text for _, text in found)
    assert all("'y'" not in text for _, text in found)


def test_the_hint_about_arguments_is_right_for_those_that_cannot_be_stored_too():
    crons.register("x", crons.Hourly(), tick, label=object())  # type: ignore[call-overload]
    (hint,) = [message.hint for message in run_checks() if message.id == "django_scheduler.E103"]
    assert "is one that can be stored" in str(hint)


@pytest.mark.parametrize("other", ["a cron", "A Cron"])
def test_names_are_unique_whatever_the_case(other):
    crons.register("a cron", crons.Hourly(), tick)
    crons.register(other, crons.Hourly(), tick)
    ((check_id, message),) = problems()
    assert check_id == "django_scheduler.E104"
    assert "named 'a cron'" in message


def test_a_module_that_is_loaded_again_replaces_its_crons():
    for _ in range(2):
        crons.register("a cron", crons.Hourly(), tick)
    assert problems() == []
    assert len(list(module.defined_crons)) == 1
