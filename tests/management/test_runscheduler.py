"""``manage.py runscheduler`` says at its start what looks like a mistake."""

import logging
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import override_settings

from django_scheduler import ctx
from django_scheduler.models import ScheduledFunction
from django_scheduler.pausing import pause
from tests.functions import write
from tests.support.in_process import execute_with_one_worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


def said_of(caplog, *queues: str, level: int = logging.WARNING) -> list[str]:
    caplog.clear()
    caplog.set_level(logging.INFO, logger="django_scheduler")
    call_command("runscheduler", "--once", "--concurrency=1", *(f"--queue={queue}" for queue in queues))
    return [each.getMessage() for each in caplog.records if "declares" in each.msg and each.levelno == level]


def test_queue_that_nothing_declares_and_that_looks_like_another_is_warned_of(caplog):
    settings = {"DJANGO_SCHEDULER": {"MAX_LAG": {"of a setting": timedelta(minutes=1)}}}
    tasks = {"default": {"BACKEND": "django_scheduler.tasks.SchedulerBackend", "QUEUES": ["of tasks"]}}
    with override_settings(**settings, TASKS=tasks):
        (warning,) = said_of(caplog, "emial", "email", "of a setting", "of tasks")

    assert "No function and no setting declares the queue 'emial', and nothing on record is in it" in warning
    assert "Did you mean 'email'?" in warning


def test_queue_that_may_be_one_that_only_calls_name_is_no_warning(caplog):
    assert said_of(caplog, "zzz") == []

    (told,) = said_of(caplog, "zzz", level=logging.INFO)

    assert "until a call names it with options(queue=)" in told
    assert "default" in told
    assert "email" in told


def test_queue_that_calls_have_named_is_known_while_it_waits_and_afterwards(caplog):
    ctx.scheduler.options(queue="emails").run_after(timedelta(hours=1), write, label="later")
    assert said_of(caplog, "emails") == []
    ctx.scheduler.options(queue="e-mail").run_after(0, write, label="now")
    execute_with_one_worker()
    assert ScheduledFunction.objects.get(queue="e-mail").state == "success"
    assert said_of(caplog, "e-mail") == []


def test_queue_that_is_paused_is_known(caplog):
    pause("default", "emails")

    assert said_of(caplog, "emails") == []


def test_name_is_compared_with_what_is_on_record_too(caplog):
    ctx.scheduler.options(queue="reports").run_after(timedelta(hours=1), write, label="later")

    (warning,) = said_of(caplog, "report")

    assert "Did you mean 'reports'?" in warning
