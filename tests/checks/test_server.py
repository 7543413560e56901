"""What the database says of itself: ``check --deploy --database``."""

from datetime import timedelta

import pytest
from django.apps import apps
from django.core import checks
from django.db import connection
from django.utils import timezone
from freezegun import freeze_time

from tests.checks.messages import ids, the_message
from tests.support.forked_processes import run
from tests.support.pgbouncer import pgbouncer

pytestmark = pytest.mark.django_db


def execute(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


def ask(question):
    with connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]


def test_the_tests_database_can_do_what_is_needed():
    assert ids(deploy=True, database=True) <= {"W012", "W013"}


@pytest.mark.only_on("sqlite")
def test_a_database_that_cannot_be_reached_is_one_error(child_environment):
    command = ["-m", "django", "check", "--deploy", "--database", "default", "--tag", "database"]
    environment = {**child_environment, "DATABASE_URL": "sqlite:////no/such/directory/database"}

    check = run(command, environment)

    assert check.returncode == 1
    assert "ERRORS:\n?: (django_scheduler.E018) The database 'default'" in check.stderr
    assert "unable to open database file" in check.stderr
    assert check.stderr.count("django_scheduler.") == 1


@pytest.mark.only_on("mysql", "sqlite")
def test_a_version_that_is_too_old_is_an_error(monkeypatch):
    features = {"mysql": "has_select_for_update_skip_locked", "sqlite": "can_return_columns_from_insert"}
    monkeypatch.setattr(connection.features, features[connection.vendor], False)
    assert the_message("E012", deploy=True, database=True).hint


@pytest.mark.only_on("postgresql")
def test_a_database_that_is_read_only_is_an_error():
    execute("SET TRANSACTION READ ONLY")
    assert the_message("E016", deploy=True, database=True).hint


@pytest.mark.only_on("mysql")
@pytest.mark.django_db(transaction=True)
def test_a_table_without_transactions_is_an_error():
    execute("ALTER TABLE django_scheduler_executor ENGINE = Aria")
    try:
        message = the_message("E017", deploy=True, database=True)
    finally:
        execute("ALTER TABLE django_scheduler_executor ENGINE = InnoDB")
    assert "django_scheduler_executor (Aria)" in message.msg
    assert "E017" not in ids(deploy=True, database=True)


@pytest.mark.only_on("sqlite")
@pytest.mark.django_db(transaction=True)
def test_readers_that_wait_for_the_writer_are_a_warning():
    execute("PRAGMA journal_mode = DELETE")
    try:
        assert the_message("W005", deploy=True, database=True).hint
    finally:
        execute("PRAGMA journal_mode = WAL")
    assert "W005" not in ids(deploy=True, database=True)


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_pooler_in_transaction_mode_is_a_warning(settings, monkeypatch, mode):
    server = connection.connection.info
    with pgbouncer(host=server.host, server_port=int(server.port), user=server.user, pool_mode=mode) as port:
        options = {name: value for name, value in connection.settings_dict["OPTIONS"].items() if name != "host"}
        monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
        monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
        monkeypatch.setitem(connection.settings_dict, "PORT", port)
        monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", False)
        warned = ids(deploy=True, database=True) & {"W010", "W011"}
        assert warned == ({"W010", "W011"} if mode == "transaction" else set())

        monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
        settings.DJANGO_SCHEDULER = {"POLL_INTERVAL": timedelta(seconds=1)}
        assert ids(deploy=True, database=True).isdisjoint({"W010", "W011"})


@pytest.mark.only_on("postgresql")
def test_commits_that_a_crash_loses_are_a_warning():
    execute("SET LOCAL synchronous_commit = off")
    assert "= off" in the_message("W012", deploy=True, database=True).msg


def test_commits_that_last_are_fine():
    wrong = {
        "postgresql": lambda: "off" in (ask("SHOW fsync"), ask("SHOW synchronous_commit")),
        "mysql": lambda: ask("SELECT @@innodb_flush_log_at_trx_commit") != 1,
        "sqlite": lambda: False,
    }
    assert ("W012" in ids(deploy=True, database=True)) is wrong[connection.vendor]()


@pytest.mark.only_on("postgresql", "mysql")
@pytest.mark.parametrize(("hours", "direction"), [(1, "behind"), (-1, "ahead of")])
def test_clocks_that_differ_are_a_warning(hours, direction):
    with freeze_time(timezone.now() + timedelta(hours=hours)):
        message = the_message("W015", deploy=True, database=True).msg
    assert direction in message
    assert "W015" not in ids(deploy=True, database=True)


@pytest.mark.only_on("sqlite")
def test_a_database_without_a_clock_of_its_own_cannot_differ():
    with freeze_time(timezone.now() + timedelta(hours=1)):
        assert "W015" not in ids(deploy=True, database=True)


def test_django_finds_nothing_wrong_with_our_tables_in_this_database():
    """It would say so before each command."""
    found = checks.run_checks([apps.get_app_config("django_scheduler")], tags=["models"], databases=["default"])
    assert found == []
