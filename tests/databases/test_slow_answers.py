"""A server that is still at work is waited for, for minutes if need be: its connection is not silent."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.databases import database_for
from django_scheduler.executor import answer_timeout
from django_scheduler.executor.session import in_session
from django_scheduler.models import ScheduledFunction, State
from django_scheduler.record import Retention
from tests.functions import write
from tests.support.in_process import executing
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.only_on("postgresql", "mysql")]

TABLE = ScheduledFunction._meta.db_table


@pytest.fixture(autouse=True)
def _short_timeout(monkeypatch):
    monkeypatch.setattr(answer_timeout, "ANSWER_TIMEOUT", 0.3)


def execute_sql(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@contextmanager
def slow_trigger(when: str, table: str, *, kind: str = "", seconds: object) -> Iterator[None]:
    """A trigger that takes its time for each row."""
    if connection.vendor == "mysql":
        execute_sql(f"CREATE TRIGGER slow {when} ON {table} FOR EACH ROW SET @slept = SLEEP({seconds})")
        drop = "DROP TRIGGER slow"
    else:
        execute_sql(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$;"
            f"CREATE {kind} TRIGGER slow {when} ON {table}"
            f" {'DEFERRABLE INITIALLY DEFERRED' if kind else ''} FOR EACH ROW EXECUTE FUNCTION slow()"
        )
        drop = f"DROP TRIGGER slow ON {table}; DROP FUNCTION slow"
    try:
        yield
    finally:
        execute_sql(drop)


@pytest.mark.only_on("postgresql")
def test_commit_that_checks_constraints_for_long_is_waited_for(execute_due, caplog):
    with slow_trigger("AFTER INSERT", "tests_entry", kind="CONSTRAINT", seconds=1.5):
        function_id = ctx.scheduler.run_after(0, write, label="slow")
        execute_due()

    assert (record(function_id).state, record(function_id).attempts) == (State.SUCCESS, 1)
    assert "Its connection is cut" not in caplog.text
    assert "Its server is at work" in caplog.text


@pytest.mark.only_on("postgresql")
def test_server_that_is_at_work_for_too_long_is_given_up(caplog, monkeypatch):
    monkeypatch.setattr(answer_timeout, "LONGEST_WORK", 0.5)
    execute_sql("CREATE SEQUENCE calls")
    only_at_first = "CASE nextval('calls') WHEN 1 THEN 20 ELSE 0 END"
    with slow_trigger("AFTER INSERT", "tests_entry", kind="CONSTRAINT", seconds=only_at_first):
        function_id = ctx.scheduler.run_after(0, write, label="slow")
        with executing(concurrency=1):
            wait_until(lambda: record(function_id).state == State.SUCCESS, "the second attempt succeeded")
    execute_sql("DROP SEQUENCE calls")

    assert record(function_id).attempts == 2
    assert "Its connection is cut" in caplog.text


def test_retention_whose_statements_take_long_deletes_all_the_same():
    ids = ctx.scheduler.run_after_many(0, write, [{"label": "old"}] * 500)
    long_ago = timezone.now() - timedelta(days=8)
    ScheduledFunction.objects.filter(pk__in=ids).update(state=State.SUCCESS, completed_time=long_ago)
    database = database_for("default")

    with slow_trigger("AFTER DELETE", TABLE, seconds=0.002):
        thread = threading.Thread(target=in_session(database, Retention(database, threading.Event()).delete))
        thread.start()
        thread.join(20)

    assert not ScheduledFunction.objects.exists()
