"""Callers of ``ctx.crons`` whose transactions see the database as it was when they began."""

import pytest
from django.db import OperationalError, connection

from django_scheduler import crons, ctx
from django_scheduler.crons.models import Cron
from django_scheduler.errors import CronExists, CronUnfinished
from django_scheduler.models import ScheduledFunction
from tests.crons.functions import tick
from tests.models import Entry

pytestmark = pytest.mark.only_on("postgresql", "mysql")


def open_snapshot(session):
    if connection.vendor == "postgresql":
        session.open_transaction()
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    else:
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        session.open_transaction()
    session.do(Entry.objects.count)


def test_run_that_began_meanwhile_is_never_overlapped(session, clock, fire_due):
    ctx.crons.register("a cron", crons.Interval(minutes=10), tick)
    open_snapshot(session)
    fire_due()
    # PostgreSQL says that the transaction must be repeated, as it does of every row that is newer.
    with pytest.raises((CronUnfinished, OperationalError)):
        session.do(ctx.crons.run_now, "a cron")
    session.roll_back()
    assert ScheduledFunction.objects.count() == 1


def test_name_that_was_taken_meanwhile_is_refused(session):
    open_snapshot(session)
    ctx.crons.register("a cron", crons.Interval(minutes=10), tick)

    with pytest.raises(CronExists):
        session.do(ctx.crons.register, "a cron", crons.Interval(minutes=10), tick)

    session.roll_back()
    assert Cron.objects.count() == 1
