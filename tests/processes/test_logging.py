"""The log that docs/logging.md documents."""

import logging
import traceback

import pytest
from django.core.management import call_command
from django.db import connection

from django_scheduler import __version__, ctx
from django_scheduler.models import ScheduledFunction
from tests.support.executor_processes import no_executor_left_on_record

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


@pytest.fixture
def run_and_log(caplog):
    """Runs what is due, and returns what was logged."""

    def run():
        with no_executor_left_on_record(), caplog.at_level(logging.INFO, logger="django_scheduler"):
            call_command("runscheduler", "--once", "--concurrency=1", "--queue=default")
        return [record for record in caplog.records if record.name == "django_scheduler.executor"]

    return run


def test_start_and_end_of_an_executor_are_one_line_each(run_and_log):
    start, end = run_and_log()
    assert start.levelname == end.levelname == "INFO"
    message = start.getMessage()
    assert f"Executor {start.executor}: django_scheduler {__version__}, Django " in message
    assert connection.display_name in message
    assert message.endswith("database 'default', queues default, concurrency 1")
    assert (start.database, start.queues, start.concurrency, start.version) == ("default", ["default"], 1, __version__)
    assert end.getMessage() == f"Executor {start.executor} has stopped"


def test_success_is_one_line_with_all_keys(run_and_log):
    function_id = ctx.scheduler.run_after(0, "tests:write", label="logged")
    start, record, _ = run_and_log()
    row = ScheduledFunction.objects.get(pk=function_id)
    assert record.levelname == "INFO"
    assert record.getMessage().startswith(f"tests:write {function_id}: success, took ")
    assert (record.function, record.function_id, record.attempt) == ("tests:write", function_id, 1)
    assert (record.state, record.failure) == ("success", "")
    assert record.executor == row.executor == start.executor
    assert record.duration > 0
    assert record.lag >= 0


def test_failure_is_one_line_with_all_keys_and_the_traceback(run_and_log):
    function_id = ctx.scheduler.run_after(0, "tests:write_and_raise", label="logged")
    _, record, _ = run_and_log()
    assert record.levelname == "ERROR"
    assert record.getMessage().startswith(f"tests:write_and_raise {function_id}: failed (error), took ")
    assert (record.state, record.failure, record.attempt) == ("failed", "error", 1)
    assert record.exc_info[0] is ValueError


@pytest.mark.usefixtures("no_grace")
def test_function_that_is_missing_is_one_line_with_its_name(run_and_log):
    function_id = ctx.scheduler.run_after(0, "tests:write", label="logged")
    ScheduledFunction.objects.update(name="tests:gone")
    _, record, _ = run_and_log()
    assert record.levelname == "ERROR"
    assert (record.function, record.function_id, record.failure) == ("tests:gone", function_id, "missing")


def test_every_record_about_a_function_carries_its_queue(run_and_log):
    ctx.scheduler.run_after(0, "tests:write", label="succeeds")
    ctx.scheduler.run_after(0, "tests:write_and_raise", label="fails")

    _, success, failure, _ = run_and_log()

    assert (success.state, success.queue) == ("success", "default")
    assert (failure.state, failure.queue) == ("failed", "default")


def test_logged_traceback_begins_at_the_function(run_and_log):
    ctx.scheduler.run_after(0, "tests:write_and_raise", label="logged")

    _, record, _ = run_and_log()

    first, *_ = traceback.extract_tb(record.exc_info[2])
    assert first.name == "write_and_raise"
