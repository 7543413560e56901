"""``manage.py runscheduler`` says at its start what looks like a mistake."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import override_settings

pytestmark = pytest.mark.django_db(transaction=True)


def warnings_of(caplog, *queues: str) -> list[str]:
    caplog.clear()
    call_command("runscheduler", "--once", "--concurrency=1", *(f"--queue={queue}" for queue in queues))
    return [record.getMessage() for record in caplog.records if hasattr(record, "queue") and "declares" in record.msg]


def test_queue_that_nothing_declares_is_warned_of(caplog):
    settings = {"DJANGO_SCHEDULER": {"MAX_LAG": {"of a setting": timedelta(minutes=1)}}}
    tasks = {"default": {"BACKEND": "django_scheduler.tasks.SchedulerBackend", "QUEUES": ["of tasks"]}}
    with override_settings(**settings, TASKS=tasks):
        (warning,) = warnings_of(caplog, "emial", "email", "of a setting", "of tasks")

    assert "No function and no setting declares the queue 'emial'" in warning
    assert "Did you mean 'email'?" in warning


def test_name_that_resembles_none_is_answered_with_those_there_are(caplog):
    (warning,) = warnings_of(caplog, "zzz")

    assert "default" in warning
    assert "email" in warning
