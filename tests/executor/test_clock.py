"""What is due: by the database's clock, or by Python's, which tests can move."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone
from freezegun import freeze_time

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.models import State
from tests.functions import write
from tests.support.records import record

NEW_YEAR = datetime(2031, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("year", [2001, 2031])
def test_moving_pythons_clock_alone_makes_functions_due(execute_due, python_clock, year):
    with freeze_time(datetime(year, 1, 1, tzinfo=UTC)) as clock:
        soon = ctx.scheduler.run_after(timedelta(days=7), write, label="soon")
        late = ctx.scheduler.run_at(timezone.now() + timedelta(days=8), write, label="late")

        execute_due()
        assert [record(soon).state, record(late).state] == [State.PENDING, State.PENDING]

        clock.tick(timedelta(days=7, microseconds=-1))
        execute_due()
        assert [record(soon).state, record(late).state] == [State.PENDING, State.PENDING]

        clock.tick(timedelta(microseconds=1))
        execute_due()
        assert [record(soon).state, record(late).state] == [State.SUCCESS, State.PENDING]

        clock.tick(timedelta(days=1))
        execute_due()
        assert [record(soon).state, record(late).state] == [State.SUCCESS, State.SUCCESS]


@mutation
def schedule_for_tomorrow(ctx: Context) -> None:
    ctx.scheduler.run_after(timedelta(days=1), write, label="tomorrow")


@action
def do_nothing(ctx: Context) -> None: ...


def test_every_time_on_record_is_that_of_pythons_clock(execute_due, python_clock):
    with freeze_time(NEW_YEAR) as clock:
        ids = [ctx.scheduler.run_after(0, function) for function in (schedule_for_tomorrow, do_nothing)]
        clock.tick(timedelta(hours=1))
        execute_due()

        for function_id in ids:
            row = record(function_id)
            assert row.creation_time == row.scheduled_time == row.due_time == NEW_YEAR
            assert row.started_time == row.completed_time == NEW_YEAR + timedelta(hours=1)
        (child,) = type(row).objects.filter(parent=ids[0])
        assert child.due_time == NEW_YEAR + timedelta(hours=25)


@pytest.mark.only_on("postgresql", "mysql")
def test_by_default_the_databases_clock_decides_whatever_pythons_says(execute_due):
    with freeze_time(timezone.now() + timedelta(days=30)):
        function_id = ctx.scheduler.run_after(timedelta(days=7), write, label="in a week")
        due_id = ctx.scheduler.run_after(0, write, label="at once")

        execute_due()

    assert record(function_id).state == State.PENDING
    row = record(due_id)
    assert row.state == State.SUCCESS
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()" if connection.vendor == "postgresql" else "SELECT UTC_TIMESTAMP(6)")
        (now,) = cursor.fetchone()
    now = now if timezone.is_aware(now) else now.replace(tzinfo=UTC)
    assert abs(row.completed_time - now) < timedelta(minutes=1)
