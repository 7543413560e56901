"""Each query of a page has a time limit: what did not finish in time says so, and the rest of the page is there."""

from contextlib import contextmanager

import pytest
from django.db import DatabaseError, connection, transaction
from django.urls import reverse

from django_scheduler.admin import time_limit
from django_scheduler.admin.time_limit import Questions, ask
from django_scheduler.databases import database_for, sqlite
from django_scheduler.models import ScheduledFunction, State
from tests.admin.conftest import BATCHES, DETAIL, LIST, OVERVIEW, page, record

pytestmark = pytest.mark.django_db(transaction=True)

ENDLESS = {
    "postgresql": "SELECT pg_sleep(60)",
    "mysql": "SELECT COUNT(*) FROM information_schema.columns a, information_schema.columns b,"
    " information_schema.columns c",
    "sqlite": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT COUNT(*) FROM n",
}


@pytest.fixture(autouse=True)
def short_limit(monkeypatch):
    monkeypatch.setattr(time_limit, "TIME_LIMIT", 0.2)


def endless(*arguments, **keywords):
    with connection.cursor() as cursor:
        cursor.execute(ENDLESS[connection.vendor])
        return cursor.fetchone()


def test_a_query_that_takes_too_long_is_ended():
    assert ask(database_for("default"), endless).is_late
    assert ask(database_for("default"), ScheduledFunction.objects.count).value == 0


def test_the_next_question_is_answered():
    record()
    with Questions(database_for("default")) as questions:
        assert questions(endless).is_late
        assert questions(ScheduledFunction.objects.count).value == 1
        assert questions(endless).is_late
        assert questions(ScheduledFunction.objects.count).value == 1


@pytest.mark.only_on("sqlite")
def test_each_statement_has_all_of_the_time(monkeypatch):
    now = 0.0

    def counted(rows=50_000):  # long enough for SQLite to look at the clock
        nonlocal now
        now += 0.15
        with connection.cursor() as cursor:
            cursor.execute(
                "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT %s) SELECT COUNT(*) FROM n",
                [rows],
            )
            return cursor.fetchone()[0]

    monkeypatch.setattr(sqlite, "monotonic", lambda: now)
    with Questions(database_for("default")) as questions:
        assert [questions(counted).value for _ in range(3)] == [50_000] * 3


def test_a_transaction_of_the_request_goes_on():
    with transaction.atomic():
        record()
        assert ask(database_for("default"), endless).is_late
        assert ask(database_for("default"), ScheduledFunction.objects.count).value == 1
        record()
    assert ScheduledFunction.objects.count() == 2


@pytest.mark.only_on("postgresql")
def test_the_sites_own_limit_is_left_as_it_was():
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '7s'")
        ask(database_for("default"), ScheduledFunction.objects.count)
        ask(database_for("default"), endless)
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("7s",)
    with connection.cursor() as cursor:
        ask(database_for("default"), ScheduledFunction.objects.count)
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)


def test_another_error_is_raised():
    def broken():
        with connection.cursor() as cursor:
            cursor.execute("SELECT nothing FROM nowhere")

    with pytest.raises(DatabaseError):
        ask(database_for("default"), broken)
    assert ScheduledFunction.objects.count() == 0


@contextmanager
def endless_with(*texts):
    """Within it, statements in which one of these texts stands take longer than any page."""

    def delay(execute, sql, params, many, context):
        if any(text in sql.replace("`", '"') for text in texts):
            return execute(ENDLESS[connection.vendor], (), False, context)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(delay):
        yield


def test_the_list_says_so(admin_client):
    with endless_with("django_scheduler_scheduledfunction"):
        assert "The database did not answer in time" in page(admin_client, LIST)


def test_the_page_of_a_function_says_so(admin_client):
    function = record()
    with endless_with('"parent_id" ='):
        assert "This did not finish in time" in page(admin_client, DETAIL, function.pk)
    with endless_with('"short_traceback"'):
        response = admin_client.get(reverse(DETAIL, args=[function.pk]))
    assert response.status_code == 503
    assert "The database did not answer in time" in response.content.decode()


def test_a_panel_of_the_overview_says_so_and_the_others_are_there(admin_client):
    record()
    with endless_with('"completed_time" IS NOT NULL AND "django_scheduler_scheduledfunction"."state"', '"hour"'):
        response = admin_client.get(reverse(OVERVIEW))
    assert response.content.decode().count("This did not finish in time") == 2
    assert response.context["per_minute"].value.up_total == 1


def test_batches_and_what_waits_say_so_too(admin_client):
    record(State.PENDING)
    with endless_with("call_key IS NOT NULL", '"django_scheduler_batch"'):
        text = page(admin_client, OVERVIEW)
        batches = page(admin_client, BATCHES)
    assert "Counting what waits under a key, for another attempt, or for a limit did not finish in time." in text
    assert text.count("This did not finish in time") == 1
    assert batches.count("This did not finish in time") == 1
