"""Finished functions go when their retention has passed, and nothing else does."""

import re
from collections import Counter
from datetime import timedelta
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_scheduler import Context, ctx, mutation
from django_scheduler.databases import TABLE, database_for
from django_scheduler.executor import answer_timeout
from django_scheduler.functions import AnyFunction
from django_scheduler.models import Batch, ScheduledFunction, State
from django_scheduler.record import Retention, deletion, retention
from django_scheduler.record.deletion import ROWS_PER_TRANSACTION, Portion
from django_scheduler.record.retention import delete_expired
from tests.functions import write
from tests.support.in_process import executing
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def schedule(
    state: State, *, ended: timedelta | None, count: int = 1, function: AnyFunction = write, **args: object
) -> list[int]:
    """Functions in that state, which they reached so long ago."""
    arguments = {"label": "old"} if function is write else args
    ids = ctx.scheduler.run_after_many(0, function, [arguments] * count)
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
    looks_for_others = [3 * int(minute % 10 == 0) for minute in range(21)]  # for keys, slots and batches
    assert statements == [others + int(minute % looks_after == 0) for minute, others in enumerate(looks_for_others)]


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


# A retention of their own


def with_retention(retention: timedelta | None, name: str = "kept", **options: Any) -> AnyFunction:
    @mutation(name=name, retention=retention, **options)
    def kept(ctx: Context) -> None: ...

    return kept


@pytest.mark.parametrize(
    ("own", "stays", "goes"),
    [
        (timedelta(days=30), timedelta(days=29), timedelta(days=31)),
        (timedelta(hours=1), timedelta(minutes=59), timedelta(minutes=61)),
        (timedelta(days=7), timedelta(days=6), timedelta(days=8)),
        (timedelta(days=36_500), timedelta(days=9_000), None),
        (None, timedelta(days=9_000), None),
    ],
    ids=str,
)
@pytest.mark.parametrize("setting", [timedelta(days=7), None], ids=str)
def test_a_function_may_stay_longer_or_shorter_than_others(settings, own, stays, goes, setting):
    settings.DJANGO_SCHEDULER = {"RETENTION": setting}
    function = with_retention(own)
    young = schedule(State.SUCCESS, ended=stays, function=function)
    others = schedule(State.FAILED, ended=timedelta(days=6))
    if goes is not None:
        schedule(State.SUCCESS, ended=goes, function=function)
    if setting is not None:
        schedule(State.FAILED, ended=timedelta(days=8))

    delete()

    assert left() == {*young, *others}


def test_it_holds_for_the_names_that_a_function_had():
    with_retention(timedelta(days=30), aliases=("earlier",))
    (young,) = schedule(State.SUCCESS, ended=timedelta(days=29))
    ScheduledFunction.objects.filter(pk=young).update(name="tests:earlier")

    delete()

    assert left() == {young}


def test_what_the_code_does_not_know_stays_as_long_as_the_setting_says():
    with_retention(timedelta(days=30))
    young, old = (*schedule(State.SUCCESS, ended=timedelta(days=6)), *schedule(State.SUCCESS, ended=timedelta(days=8)))
    ScheduledFunction.objects.filter(pk__in=[young, old]).update(name="tests:gone")

    delete()

    assert left() == {young}


@pytest.mark.parametrize(
    "retention", [timedelta(0), timedelta(seconds=-1), timedelta(days=36_501), 30, "30d", True], ids=repr
)
def test_a_retention_that_cannot_be_is_refused(retention):
    with pytest.raises(ImproperlyConfigured, match=r"retention= must be a positive timedelta.* or None, not"):
        with_retention(retention)


def test_what_stays_longer_is_read_once_an_hour_and_not_by_each_look(monkeypatch):
    seconds = SimpleNamespace(passed=0.0)
    monkeypatch.setattr(retention, "time", SimpleNamespace(monotonic=lambda: seconds.passed))
    function = with_retention(timedelta(days=30))
    staying = schedule(State.SUCCESS, ended=timedelta(days=20), function=function, count=3)
    begins_at: list[bool] = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT") and "completed_time" in sql and re.search(r"NOT \(\S+\.\Wname\W IN", sql):
            begins_at.append(">=" in sql)
        return execute(sql, params, many, context)

    of_executor = Retention(database_for("default"), Event())
    with connection.execute_wrapper(watch):
        for seconds.passed in (0.0, 1_000.0, 2_000.0, 3_700.0, 4_700.0):
            schedule(State.SUCCESS, ended=timedelta(days=7))
            of_executor.delete()
            of_executor.delete()

    assert begins_at == [False, True, True, True, True, True, False, True, True, True]
    assert left() == {*staying}


def test_what_could_not_be_deleted_is_looked_for_again(monkeypatch):
    seconds = SimpleNamespace(passed=0.0)
    monkeypatch.setattr(retention, "time", SimpleNamespace(monotonic=lambda: seconds.passed))
    with_retention(timedelta(days=30))
    schedule(State.SUCCESS, ended=timedelta(days=8))
    of_executor = Retention(database_for("default"), Event())
    with monkeypatch.context() as patched:
        patched.setattr(deletion, "delete", lambda *_, **__: iter([Portion(kept=Counter(["protected"]))]))
        of_executor.delete()
    assert left()
    seconds.passed = 150.0

    of_executor.delete()

    assert not left()


def test_rows_of_batches_go_as_long_after_their_end():
    with ctx.scheduler.batch():
        pass
    with ctx.scheduler.batch() as unfinished:
        unfinished.run_after(60_000, write, label="x")
    Batch.objects.filter(completed_time__isnull=False).update(completed_time=timezone.now() - timedelta(days=8))
    with ctx.scheduler.batch() as recent:
        pass

    Retention(database_for("default"), Event()).delete()

    assert sorted(Batch.objects.values_list("pk", flat=True)) == [unfinished.id, recent.id]
