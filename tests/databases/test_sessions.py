"""Sessions of executors, as a time budget ends them."""

import time

import pytest
from django.db import connection, connections

from django_scheduler.databases import database_for
from django_scheduler.executor.session import executor_session
from tests.databases.servers import ALIAS
from tests.support.elsewhere import elsewhere


def test_a_session_that_has_been_ended_can_still_be_told_to_stop_its_statement(transactional_db):
    """The watchdog repeats that until the body returns, which may take hours."""

    def end_and_interrupt() -> None:
        connection.ensure_connection()
        database = database_for("default")
        session = database.session()
        database.end_session(session)
        database.interrupt_statement(session)

    elsewhere(end_and_interrupt)


@pytest.mark.only_on("postgresql")
def test_server_is_asked_to_notice_within_half_a_minute_that_an_executors_host_has_vanished(transactional_db):
    def read() -> dict[str, str]:
        with executor_session(database_for("default")), connection.cursor() as cursor:
            # A socket of Unix has no such times, but that they were set is known all the same.
            cursor.execute("SELECT name, source FROM pg_settings WHERE name LIKE 'tcp%'")
            return dict(cursor.fetchall())

    times = {"tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout"}
    assert elsewhere(read) == dict.fromkeys(times, "session")


@pytest.mark.only_on("postgresql")
def test_sessions_of_an_executor_that_has_nothing_to_do_are_not_ended(own_database):
    with connections[ALIAS].cursor() as cursor:
        cursor.execute("ALTER ROLE CURRENT_USER SET idle_session_timeout = '200ms'")
        try:
            executor = own_database.start_executor(POLL_INTERVAL=3600)
            time.sleep(1)
        finally:
            cursor.execute("ALTER ROLE CURRENT_USER RESET idle_session_timeout")
    own_database.assert_it_works()
    assert "ERROR" not in executor.log  # its workers
    assert "WARNING" not in executor.log  # its listener and its crons
    assert executor.stop() == 0


@pytest.mark.only_on("postgresql", "mysql")
def test_executors_connections_are_made_in_time_or_not_at_all_unless_the_site_says_how_long(transactional_db):
    def options() -> tuple[object, ...]:
        before = connection.settings_dict
        with executor_session(database_for("default")):
            own = connection.get_connection_params()["connect_timeout"]
        assert connection.settings_dict is before
        connection.settings_dict = {**before, "OPTIONS": {**before["OPTIONS"], "connect_timeout": 77}}
        with executor_session(database_for("default")):
            sites = connection.get_connection_params()["connect_timeout"]
        return own, sites

    assert elsewhere(options) == (10, 77)
