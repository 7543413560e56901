"""importcrons django-q2: its schedules."""

import pytest
from django.core.management import CommandError, call_command

from tests.importing.outcomes import crons, left_out, refused, said_of


@pytest.fixture
def q2(site):
    return site.seen("django-q2", "django-q2")


def test_each_kind_of_schedule_runs_when_it_runs_there_also_when_clocks_change(site):
    for kind in site.seen("kinds", "django-q2"):
        assert kind["ours"] == kind["theirs"], kind["kind"]


def test_each_kind_of_schedule_is_a_line_or_an_interval(q2):
    imported = crons(q2["applied"])
    assert {name: cron["line"] or cron["every"] for name, cron in imported.items()} == {
        "minutes": 5400,
        "hourly": "0 * * * *",
        "daily": "0 15 * * *",
        "weekly": "0 15 * * mon",
        "monthly": "0 15 1 * *",
        "quarterly": "0 15 1 mar,jun,sep,dec *",
        "yearly": "0 15 1 jun *",
        "cron": "30 9 * * mon-fri",
        "nickname": "0 0 * * *",
        "either day": "0 9 13 * fri",
        "hooked": "0 15 * * *",
        "in a cluster": "0 15 * * *",
        "optional": "0 15 * * *",
        "expire_carts 29": "0 15 * * *",  # it has no name
        "twice": "0 15 * * *",
        "twice 31": "0 * * * *",
        "case": "0 15 * * *",
        "Case 33 33": "0 * * * *",
        "case 33": "0 15 * * *",
    }
    assert {cron["timezone"] for cron in imported.values()} == {"Europe/Berlin", ""}


def test_the_next_run_is_that_of_django_q2(q2):
    soon = {name for name, cron in crons(q2["applied"]).items() if cron["next"] == "2026-06-01T13:00:00+00:00"}
    assert soon == crons(q2["applied"]).keys() - {"cron", "nickname", "either day"}


def test_missed_runs_are_made_up_for_as_django_q2_does(q2):
    one = {name for name, cron in crons(q2["applied"]).items() if cron["catch_up"] == "one"}
    assert one == {"cron", "nickname", "either day"}


def test_arguments_as_text_are_literals_and_nothing_is_evaluated(q2):
    assert crons(q2["applied"])["daily"]["args"] == {"shop_id": 7}
    assert crons(q2["applied"])["weekly"]["args"] == {"order_id": 7}
    for name in ("evil", "evil too", "evil three"):
        assert "no Python literals" in refused(q2["applied"])[name]


def test_a_schedule_with_one_run_left_is_scheduled(q2):
    assert [(each["args"], each["time"]) for each in q2["applied"]["scheduled"]] == [
        ({"shop_id": 7, "subject": "a, b"}, "2026-06-02T12:00:00+00:00"),
        ({}, "2026-06-01T13:00:00+00:00"),
    ]


def test_schedules_that_no_cron_says_are_refused(q2):
    reasons = refused(q2["applied"])
    assert reasons.keys() == {
        *("once, past", "three times", "biweekly", "monthly, 30th", "star and day", "with seconds", "later", "dated"),
        *("evil", "evil too", "evil three"),
    }
    assert 'crons.CronLine("0 15 * * mon", timezone="Europe/Berlin")' in reasons["biweekly"]
    assert "day 30, which not all of its months have" in reasons["monthly, 30th"]
    assert "either of the two days is enough there" in reasons["star and day"]
    assert "ends after 3 more runs" in reasons["three times"]
    assert "It begins only at 2026-06-10 12:00" in reasons["later"]
    assert left_out(q2["applied"]).keys() == {"once, done", "never"}


def test_hooks_clusters_and_options_are_named(q2):
    assert "its hook shop.hooks.done is not carried over" in said_of(q2["applied"], "hooked")
    assert "its queue 'bulk' is not carried over" in said_of(q2["applied"], "in a cluster")
    assert "its q_options {'timeout': 30} are not carried over" in said_of(q2["applied"], "optional")


def test_the_code_of_schedules_registers_the_same_crons(q2):
    assert q2["pasted"]["problems"] == []
    assert " 19 here already," in q2["pasted"]["failed"]


def test_importing_schedules_twice_doubles_nothing(q2):
    assert q2["applied"]["failed"] == "Of 34 entries: 21 imported, 2 left out, 11 cannot be imported."
    assert q2["again"]["failed"] == "Of 34 entries: 21 here already, 2 left out, 11 cannot be imported."
    assert (q2["again"]["crons"], q2["again"]["scheduled"]) == (q2["applied"]["crons"], q2["applied"]["scheduled"])


@pytest.mark.django_db
def test_without_the_app_of_django_q2_the_command_says_what_is_missing():
    with pytest.raises(CommandError, match="with 'django_q' in INSTALLED_APPS"):
        call_command("importcrons", "django-q2")
