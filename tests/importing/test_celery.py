"""importcrons celery: the beat_schedule of a Celery app."""

import sys

import pytest
from django.core.management import CommandError, call_command

from tests.importing.outcomes import crons, left_out, refused, said_of


@pytest.fixture
def celery(site):
    return site.seen("celery", "celery")


def test_a_crontab_of_celery_runs_when_it_runs_there(site):
    for crontab in site.seen("crontabs", "celery"):
        assert crontab["ours"] == crontab["theirs"], (crontab["fields"], crontab["line"])


def test_crontabs_have_the_zone_of_the_app(celery):
    digest = crons(celery["applied"])["digest"]
    assert (digest["line"], digest["timezone"]) == ("0 7 * * mon-fri", "Europe/Berlin")
    assert digest["args"] == {"shop_id": 7}


def test_numbers_and_deltas_are_intervals_and_begin_with_a_wait_as_with_beat(celery):
    every = {
        name: (cron["every"], cron["next"])
        for name, cron in crons(celery["applied"]).items()
        if name in ("seconds", "a delta", "a schedule")
    }
    assert every == {
        "seconds": (30, "2026-06-01T12:00:30+00:00"),
        "a delta": (5400, "2026-06-01T13:30:00+00:00"),
        "a schedule": (6 * 3600, "2026-06-01T18:00:00+00:00"),
    }


def test_an_interval_that_is_rounded_to_its_unit_is_a_cron_line(celery):
    assert crons(celery["applied"])["hourly"]["line"] == "0 * * * *"
    assert 'crons.CronLine("0 */6 * * *")' in refused(celery["applied"])["six-hourly"]


def test_positional_arguments_are_bound_to_the_signature(celery):
    assert crons(celery["applied"])["by position"]["args"] == {"order_id": 7, "reason": "new"}


def test_what_add_periodic_task_has_added_is_there(celery):
    assert crons(celery["applied"])["added"]["line"] == "5 * * * *"


def test_a_disabled_entry_is_paused(celery):
    disabled = crons(celery["applied"])["disabled"]
    assert disabled["next"] is None
    assert disabled["paused"] == "It was disabled in celery, from where it was imported."


def test_a_nowfun_of_the_same_zone_changes_nothing_and_another_one_is_refused(celery):
    assert crons(celery["applied"])["in berlin"]["timezone"] == "Europe/Berlin"
    assert "times of Asia/Tokyo, and the app those of Europe/Berlin" in refused(celery["applied"])["in tokyo"]


def test_what_no_cron_says_is_refused_with_what_to_do(celery):
    reasons = refused(celery["applied"])
    assert reasons.keys() == {
        *("too fast", "six-hourly", "friday 13th", "in tokyo", "lazy", "unknown", "wrong arguments", "renamed"),
        *("ending", "broken"),
    }
    assert "every 0.5 seconds, and a cron at most once a second" in reasons["too fast"]
    assert 'Register crons.CronLine("0 9 13 * *"), and have the function return at once' in reasons["friday 13th"]
    assert "computed anew for each run" in reasons["lazy"]
    assert "The nearest is 'shop:send_digest'." in reasons["unknown"]
    assert "--map shop.tasks.send_digests=<app_label>:<name>" in reasons["unknown"]
    assert "did you mean 'shop_id'?" in reasons["wrong arguments"]
    assert "calls ctx.crons.delete()" in reasons["ending"]
    assert "has ended" in left_out(celery["applied"])["ended"]


def test_options_that_the_function_says_are_named_unless_it_says_the_same(celery):
    assert said_of(celery["applied"], "digest") == "Registered 'digest', shop:send_digest.\n"
    said = said_of(celery["applied"], "routed")
    for part in ("queue 'bulk'", "expires of 0:05:00", "priority 3", "headers (tenant)", "its link"):
        assert part in said


def test_the_code_of_celerys_entries_registers_the_same_crons(celery):
    assert celery["code"]["crons"] == []
    assert celery["pasted"]["problems"] == []
    assert (
        celery["pasted"]["failed"]
        == "Of 21 entries: 1 written as Python, 9 here already, 1 left out, 10 cannot be imported."
    )
    assert '# crons.register(\n#     "disabled",' in celery["code"]["output"]


def test_importing_from_celery_twice_doubles_nothing(celery):
    assert celery["applied"]["failed"] == "Of 21 entries: 10 imported, 1 left out, 10 cannot be imported."
    assert celery["again"]["failed"] == "Of 21 entries: 10 here already, 1 left out, 10 cannot be imported."
    assert celery["again"]["crons"] == celery["applied"]["crons"]


def test_a_task_is_mapped_to_a_function_of_another_name(site):
    mapped = site.seen("celery, mapped", "celery")
    assert mapped["failed"] == ""
    assert mapped["errors"] == "Of 1 entries: 1 imported.\n"
    assert crons(mapped)["renamed"]["function"] == "shop:expire_carts"


def test_the_app_in_use_need_not_be_named(site):
    in_use = site.seen("celery, in use", "celery")
    assert 'crons.register("seconds", crons.Interval(seconds=30), internal.shop.expire_carts)' in in_use["output"]


def test_an_app_without_beat_schedule_or_none_at_all_is_said(site):
    assert "--app=shop.celery" in site.seen("celery, empty", "celery")["failed"]
    assert "There is no Celery app 'tests.importing.site.no_app'" in site.seen("celery, no app", "celery")["failed"]


@pytest.mark.django_db
def test_without_celery_the_command_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "celery", None)
    with pytest.raises(CommandError, match="beat_schedule is read with Celery, which cannot be imported here"):
        call_command("importcrons", "celery")
