"""Finished functions go when their retention has passed, and nothing else does."""

from datetime import timedelta
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.databases import TABLE, database_for
from django_scheduler.executor import answer_timeout
from django_scheduler.models import ScheduledFunction, State
from django_scheduler.record import Retention, retention
from django_scheduler.record.deletion import ROWS_PER_TRANSACTION
from django_scheduler.record.retention import delete_expired
from tests.functions import write
from tests.support.in_process import executing
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def schedule(state: State, *, ended: timedelta | None, count: int = 1) -> list[int]:
    """Functions in that state, which they reached so long ago."""
    ids = ctx.scheduler.run_after_many(0, write, [{"label": "old"}] * count)
    completed = None if ended is None else timezone.now() - ended
    ScheduledFunction.objects.filter(pk__in=ids).update(
        state=state, completed_time=completed, creation_time=timezone.now() - timedelta(days=1000)
    )
    return list(ids)


def left() -> set[int]:
    return set(ScheduledFunction.objects.values_list("pk", flat=True))


def delete() -> None:
    delete_expired(database_for("default"), Event())


FINISHED = [State.SUCCESS, State.FAILED, State.CANCELED]


@pytest.mark.parametrize("state", FINISHED)
def test_finished_functions_stay_for_seven_days(state):
    young = schedule(state, ended=timedelta(days=6, hours=23))
    schedule(state, ended=timedelta(days=7, hours=1))

    delete()

    assert left() == set(young)


def test_retention_can_be_set(settings):
    settings.DJANGO_SCHEDULER = {"RETENTION": timedelta(minutes=10)}
    young = schedule(State.SUCCESS, ended=timedelta(minutes=9))
    schedule(State.SUCCESS, ended=timedelta(minutes=11))

    delete()

    assert left() == set(young)


def test_without_retention_nothing_goes(settings):
    settings.DJANGO_SCHEDULER = {"RETENTION": None}
    old = schedule(State.SUCCESS, ended=timedelta(days=1000))

    delete()

    assert left() == set(old)


def test_unfinished_functions_never_go():
    unfinished = schedule(State.PENDING, ended=None) + schedule(State.IN_PROGRESS, ended=None)
    schedule(State.SUCCESS, ended=timedelta(days=8))

    delete()

    assert left() == set(unfinished)


def test_at_most_a_thousand_go_in_one_transaction():
    schedule(State.SUCCESS, ended=timedelta(days=8), count=ROWS_PER_TRANSACTION + 1)
    happened: list[int | str] = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("DELETE"):
            happened.append(context["cursor"].rowcount)
            transaction.on_commit(lambda: happened.append("commit"))
        return result

    with connection.execute_wrapper(watch):
        delete()

    assert ROWS_PER_TRANSACTION <= 1_000
    assert happened == [ROWS_PER_TRANSACTION, "commit", 1, "commit"]
    assert left() == set()


def test_child_stays_when_its_parent_goes():
    (parent,) = schedule(State.SUCCESS, ended=timedelta(days=8))
    (child,) = schedule(State.SUCCESS, ended=timedelta(days=1))
    ScheduledFunction.objects.filter(pk=child).update(parent_id=parent)

    delete()

    assert left() == {child}


def test_executor_does_it_by_itself():
    schedule(State.SUCCESS, ended=timedelta(days=8))

    with executing(concurrency=1):
        wait_until(lambda: not left(), "what had expired is gone")


@pytest.mark.parametrize(
    ("setting", "looks_after"),
    [(timedelta(days=7), 10), (timedelta(minutes=50), 5), (timedelta(minutes=1), 1)],
)
def test_where_nothing_expires_it_looks_once_in_a_tenth_of_retention_and_in_ten_minutes(
    settings, monkeypatch, setting, looks_after
):
    settings.DJANGO_SCHEDULER = {"RETENTION": setting}
    minutes = SimpleNamespace(passed=0)
    monkeypatch.setattr(retention, "time", SimpleNamespace(monotonic=lambda: minutes.passed * 60.0))
    of_executor = Retention(database_for("default"), Event())
    statements = []
    for minutes.passed in range(21):
        with CaptureQueriesContext(connection) as captured:
            of_executor.delete()
        statements.append(len(captured))
    assert statements == [int(minute % looks_after == 0) for minute in range(21)]


def test_where_something_has_expired_it_looks_again_a_minute_later(monkeypatch):
    minutes = SimpleNamespace(passed=0)
    monkeypatch.setattr(retention, "time", SimpleNamespace(monotonic=lambda: minutes.passed * 60.0))
    of_executor = Retention(database_for("default"), Event())
    for minutes.passed in range(5):
        schedule(State.SUCCESS, ended=timedelta(days=8))
        of_executor.delete()
        assert not left()


@pytest.mark.only_on("postgresql")
def test_deletion_may_take_longer_than_other_answers(monkeypatch):
    schedule(State.SUCCESS, ended=timedelta(days=8))
    monkeypatch.setattr(answer_timeout, "ANSWER_TIMEOUT", 0.5)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION delete_slowly() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN PERFORM pg_sleep(1.2); RETURN OLD; END'"
        )
        cursor.execute(f"CREATE TRIGGER slow BEFORE DELETE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION delete_slowly()")
    try:
        with executing(concurrency=1):
            wait_until(lambda: not left(), "what had expired is gone")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION delete_slowly CASCADE")
