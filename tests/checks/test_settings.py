"""``manage.py check`` says what is wrong with the settings, and what would be right."""

from datetime import timedelta

import pytest
from django.core.checks import CheckMessage, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_scheduler.conf import get_settings
from tests.checks.messages import ids

pytestmark = [pytest.mark.django_db, pytest.mark.once]  # some of Django's own checks ask the database what it can do


def errors_with(settings: object) -> list[CheckMessage]:
    with override_settings(DJANGO_SCHEDULER=settings):
        return [message for message in run_checks() if (message.id or "").startswith("django_scheduler.E")]


def test_no_settings_at_all_are_fine():
    assert errors_with({}) == []


def test_every_setting_may_be_given():
    assert (
        errors_with(
            {
                "CLOCK": "python",
                "MAX_SCHEDULED_PER_TRANSACTION": 10,
                "RETENTION": None,
                "POLL_INTERVAL": timedelta(seconds=1),
            }
        )
        == []
    )


@pytest.mark.parametrize("typed", ["RETENTON", "retention", "Retention"])
def test_a_mistyped_setting_is_an_error_that_suggests_the_right_one(typed):
    (error,) = errors_with({typed: timedelta(days=1)})
    assert error.id == "django_scheduler.E001"
    assert repr(typed) in error.msg
    assert error.hint == "Did you mean 'RETENTION'?"


def test_a_setting_that_resembles_none_is_answered_with_those_there_are():
    (error,) = errors_with({"BROKER_URL": "redis://"})
    assert error.id == "django_scheduler.E001"
    assert "CLOCK" in str(error.hint)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLOCK", "sundial"),
        ("VALUE_MODULES", "shop_money"),
        ("VALUE_MODULES", [1]),
        ("RETENTION", 7),
        ("RETENTION", timedelta(0)),
        ("UNKNOWN_FUNCTION_GRACE", timedelta(microseconds=-1)),
        ("UNKNOWN_FUNCTION_GRACE", timedelta.max),
        ("HEARTBEAT_TIMEOUT", None),
        ("CRONS", 1),
        ("MAX_SCHEDULED_PER_TRANSACTION", True),
        ("MAX_SCHEDULED_PER_TRANSACTION", 0),
        ("MAX_SCHEDULED_PER_TRANSACTION", "1000"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_setting_and_value(name, value):
    (error,) = errors_with({name: value})
    assert error.id == "django_scheduler.E002"
    assert name in error.msg
    assert repr(value) in error.msg


def test_settings_that_are_not_a_dict_are_an_error():
    (error,) = errors_with(["CLOCK"])
    assert error.id == "django_scheduler.E002"


@override_settings(USE_TZ=False)
def test_naive_times_are_an_error():
    assert [error.id for error in errors_with({})] == ["django_scheduler.E003"]


def test_what_is_overridden_holds_at_once_and_only_as_long():
    with override_settings(DJANGO_SCHEDULER={"MAX_SCHEDULED_PER_TRANSACTION": 3}):
        assert get_settings().MAX_SCHEDULED_PER_TRANSACTION == 3
    assert get_settings().MAX_SCHEDULED_PER_TRANSACTION == 1_000


@pytest.mark.parametrize("settings", [{"RETENTON": 1}, {"CLOCK": "sundial"}, ["CLOCK"]])
def test_wrong_settings_stop_whoever_needs_them(settings):
    with override_settings(DJANGO_SCHEDULER=settings), pytest.raises(ImproperlyConfigured, match="DJANGO_SCHEDULER"):
        get_settings()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"HEARTBEAT_INTERVAL": timedelta(seconds=20)}, "django_scheduler.E004"),
        ({"HEARTBEAT_TIMEOUT": timedelta(seconds=10)}, "django_scheduler.E004"),
        ({"BACKOFF_INITIAL": timedelta(hours=3)}, "django_scheduler.E005"),
    ],
)
def test_settings_that_contradict_each_other_are_an_error(settings, expected):
    (error,) = errors_with(settings)
    assert error.id == expected
    assert error.hint


def test_settings_that_agree_are_fine():
    assert errors_with({"HEARTBEAT_INTERVAL": timedelta(seconds=20), "HEARTBEAT_TIMEOUT": timedelta(minutes=1)}) == []
    assert errors_with({"BACKOFF_INITIAL": timedelta(hours=3), "BACKOFF_MAXIMUM": timedelta(hours=3)}) == []


def test_pythons_clock_is_a_warning_in_production_only():
    with override_settings(DJANGO_SCHEDULER={"CLOCK": "python"}):
        assert "W001" in ids(deploy=True)
        assert "W001" not in ids()
    assert "W001" not in ids(deploy=True)


@pytest.mark.parametrize("value", [[], (), "", "x", 0, None, False, [("RETENTION", None)]], ids=repr)
def test_settings_that_are_no_dict_are_an_error_also_empty_ones(value, settings):
    settings.DJANGO_SCHEDULER = value
    assert [message.id for message in errors_with(value)] == ["django_scheduler.E002"]
    with pytest.raises(ImproperlyConfigured, match="DJANGO_SCHEDULER must be a dict"):
        get_settings()


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("DJANGO_SCHEDULAR", {"CRONS": False}, "Did you mean DJANGO_SCHEDULER?"),
        ("DJANGO_SHEDULER", {}, "Did you mean DJANGO_SCHEDULER?"),
        ("DJANGO_SCHEDULERS", {}, "Did you mean DJANGO_SCHEDULER?"),
        ("DJANGOSCHEDULER", {}, "Did you mean DJANGO_SCHEDULER?"),
        ("SCHEDULER", {"RETENTION": None}, "Did you mean DJANGO_SCHEDULER?"),
        ("DJANGO_CTX_SCHEDULER", {"CRONS": False}, "Did you mean DJANGO_SCHEDULER?"),
        ("DJANGO_SCHEDULER_RETENTION", None, "Write DJANGO_SCHEDULER = {'RETENTION': ...}."),
    ],
)
def test_settings_under_a_name_that_nobody_reads_are_an_error(name, value, hint, settings):
    setattr(settings, name, value)
    (message,) = errors_with({})
    assert (message.id, message.hint) == ("django_scheduler.E001", hint)
    assert name in message.msg


@pytest.mark.parametrize("name", ["SCHEDULER", "SCHEDULER_CONFIG", "DJANGO_CELERY", "DJANGO_Q", "APSCHEDULER_RUN_NOW"])
def test_settings_of_other_packages_are_left_alone(name, settings):
    setattr(settings, name, {"host": "localhost", "EXECUTOR": "threads"})
    assert not errors_with({})


def test_code_that_reads_a_misspelt_setting_is_told_the_nearest(settings):
    settings.DJANGO_SCHEDULER = {"RETENTOIN": None}
    with pytest.raises(ImproperlyConfigured, match=r"has no setting 'RETENTOIN'\. Did you mean 'RETENTION'\?"):
        get_settings()
