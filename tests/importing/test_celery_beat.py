"""importcrons django-celery-beat: its tables."""

import pytest
from django.core.management import CommandError, call_command

from tests.importing.outcomes import crons, left_out, refused, said_of


@pytest.fixture
def beat(site):
    return site.seen("django-celery-beat", "django-celery-beat")


def test_a_crontab_has_a_zone_of_its_own(beat):
    digest = crons(beat["applied"])["digest"]
    assert (digest["line"], digest["timezone"]) == ("0 7 * * mon-fri", "Europe/Berlin")
    assert digest["next"] == "2026-06-02T05:00:00+00:00"
    assert digest["args"] == {"shop_id": 7}


def test_both_days_that_celery_asks_for_are_a_counted_weekday(beat):
    assert crons(beat["applied"])["first monday"]["line"] == "0 9 * * mon#1"


def test_an_interval_goes_on_from_its_last_run(beat):
    imported = crons(beat["applied"])
    assert (imported["ten minutes"]["every"], imported["ten minutes"]["next"]) == (600, "2026-06-01T12:07:00+00:00")
    assert imported["two days"]["next"] == "2026-06-03T12:00:00+00:00"


def test_a_disabled_task_is_paused(beat):
    disabled = crons(beat["applied"])["disabled"]
    assert disabled["next"] is None
    assert disabled["paused"] == "It was disabled in django-celery-beat, from where it was imported."


def test_what_runs_once_is_scheduled_if_it_is_still_to_come(beat):
    assert [(each["function"], each["time"]) for each in beat["applied"]["scheduled"]] == [
        ("shop:send_digest", "2026-06-02T12:00:00+00:00"),  # clocked
        ("shop:expire_carts", "2026-06-02T12:00:00+00:00"),  # clocked, and to expire later
        ("shop:expire_carts", "2026-06-02T09:00:00+00:00"),  # once at nine
        ("shop:expire_carts", "2026-06-05T09:00:00+00:00"),  # the first nine o'clock after its start
    ]
    assert "manage.py schedule shop:send_digest" in refused(beat["applied"])["clocked, past"]


def test_what_has_run_or_ended_is_left_out(beat):
    assert left_out(beat["applied"]).keys() == {"clocked, done", "once, done", "ended", "celery.backend_cleanup"}


def test_periodic_tasks_that_no_cron_says_are_refused(beat):
    reasons = refused(beat["applied"])
    assert reasons.keys() == {
        *("friday 13th", "sunday as 7", "too fast", "sunset", "clocked, past", "ending", "beginning"),
        *("unknown", "wrong arguments", "no list", "no json", "no end", "on Mars"),
    }
    assert "Celery itself cannot read its schedule: Invalid end range: 7 > 6" in reasons["sunday as 7"]
    assert "follows the sun" in reasons["sunset"]
    assert "It begins only at 2026-06-02 12:00" in reasons["beginning"]
    assert "It ends at 2026-06-02 12:00" in reasons["ending"]
    assert "Mars/Olympus" in reasons["on Mars"]
    assert "argument: 'shop_id'" in reasons["wrong arguments"]


def test_options_of_a_row_that_a_cron_does_not_have_are_named(beat):
    said = said_of(beat["applied"], "routed")
    for part in ("queue 'bulk'", "expires of 0:01:00", "priority 3", "headers (tenant)", "its routing_key"):
        assert part in said


def test_the_code_of_periodic_tasks_registers_the_same_crons(beat):
    assert beat["code"]["crons"] == beat["pasted"]["crons"]
    assert beat["code"]["scheduled"] == []
    assert beat["pasted"]["problems"] == []
    assert " 7 here already," in beat["pasted"]["failed"]


def test_what_runs_once_is_a_comment_in_the_code(beat):
    assert (
        "# 'clocked':\n"
        '# ctx.scheduler.options(key="django-celery-beat 10 at 2026-06-02T12:00:00+00:00").run_at(\n'
        "#     datetime.datetime(2026, 6, 2, 12, 0, tzinfo=datetime.timezone.utc),\n"
        "#     internal.shop.send_digest,\n"
        "#     shop_id=7,\n"
        "# )\n"
    ) in beat["code"]["output"]


def test_importing_periodic_tasks_twice_doubles_nothing(beat):
    assert beat["applied"]["failed"] == "Of 29 entries: 12 imported, 4 left out, 13 cannot be imported."
    assert beat["again"]["failed"] == "Of 29 entries: 12 here already, 4 left out, 13 cannot be imported."
    assert (beat["again"]["crons"], beat["again"]["scheduled"]) == (
        beat["applied"]["crons"],
        beat["applied"]["scheduled"],
    )


@pytest.mark.django_db
def test_without_the_app_of_django_celery_beat_the_command_says_what_is_missing():
    with pytest.raises(CommandError, match="with 'django_celery_beat' in INSTALLED_APPS"):
        call_command("importcrons", "django-celery-beat")
