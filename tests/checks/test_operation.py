"""Whether there is a table to schedule in, and somebody to execute: ``check --deploy --database``."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.models import Executor
from tests.checks.messages import ids, the_message
from tests.functions import write, write_with_priority
from tests.support.forked_processes import run

pytestmark = pytest.mark.django_db


def start_executor(*, queues=(), silent_for=timedelta(0), concurrency=8):
    now = timezone.now()
    Executor.objects.create(
        name=f"executor {Executor.objects.count()}",
        host="host",
        process_space="space",
        process_id=1,
        process_start="then",
        started_time=now,
        heartbeat_time=now - silent_for,
        queues=list(queues),
        concurrency=concurrency,
        version="1",
    )


def test_no_executor_is_a_warning():
    assert the_message("W013", deploy=True, database=True).hint


def test_an_executor_that_has_fallen_silent_is_none():
    start_executor(silent_for=timedelta(minutes=5))
    assert "W013" in ids(deploy=True, database=True)


def test_the_worker_of_a_fleet_that_is_alive_is_none():
    start_executor(concurrency=0)  # it executes what it is handed, and looks for nothing
    assert "W013" in ids(deploy=True, database=True)


def test_an_executor_that_is_alive_is_enough():
    start_executor()
    ctx.scheduler.run_after(0, write_with_priority, label="in the queue email")
    assert ids(deploy=True, database=True).isdisjoint({"W013", "W014"})


def test_a_queue_that_nobody_serves_is_a_warning_once_something_is_due_in_it():
    start_executor(queues=["default", "slow"])
    ctx.scheduler.run_after(0, write, label="served")
    ctx.scheduler.run_after(timedelta(hours=1), write_with_priority, label="not due")
    assert "W014" not in ids(deploy=True, database=True)

    ctx.scheduler.run_after(0, write_with_priority, label="due")
    assert "queues email," in the_message("W014", deploy=True, database=True).msg

    start_executor(queues=["email"])
    assert "W014" not in ids(deploy=True, database=True)


def test_a_missing_migration_is_an_error():
    assert "E011" not in ids(deploy=True, database=True)
    MigrationRecorder(connection).migration_qs.filter(app="django_scheduler").delete()
    assert "0001_initial" in the_message("E011", deploy=True, database=True).msg


def test_without_naming_a_database_none_is_asked(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert "W013" not in ids(deploy=True)
        assert "W013" not in ids(database=True)  # migrate, which may be what makes the tables


@pytest.mark.only_on("sqlite")
def test_a_database_that_is_still_empty_can_be_checked_and_migrated(child_environment, tmp_path):
    environment = {**child_environment, "DATABASE_URL": f"sqlite:///{tmp_path / 'new.sqlite3'}"}

    def manage(*arguments):
        return run(["-m", "django", *arguments], environment)

    assert manage("check").returncode == 0
    before = manage("check", "--deploy", "--database", "default", "--tag", "database")
    assert before.returncode == 1
    assert "django_scheduler.E011" in before.stderr
    assert "django_scheduler.W013" not in before.stderr
    assert manage("migrate").returncode == 0
    after = manage("check", "--deploy", "--database", "default", "--tag", "database")
    assert after.returncode == 0, after.stderr
    assert "django_scheduler.W013" in after.stderr
