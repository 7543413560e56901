"""Sessions of executors, as a time budget ends them."""

from django.db import connection

from django_scheduler.databases import database_for
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
