"""PostgreSQL with the isolation level SERIALIZABLE, where any transaction may conflict with another one."""

from datetime import timedelta

import pytest
from django.db import connections

from django_scheduler import Context, ctx, mutation
from django_scheduler.executor.poller import Until
from django_scheduler.models import State
from tests.functions import write
from tests.models import Account, Entry
from tests.support.elsewhere import elsewhere
from tests.support.in_process import executing
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.only_on("postgresql")

attempts: list[str] = []


@pytest.fixture(autouse=True)
def _serializable(transactional_db, settings, monkeypatch):
    from psycopg import IsolationLevel

    attempts.clear()
    settings.DJANGO_SCHEDULER = {"BACKOFF_INITIAL": timedelta(milliseconds=1)}
    # Of every connection that is made from now on.
    monkeypatch.setitem(connections.settings["default"]["OPTIONS"], "isolation_level", IsolationLevel.SERIALIZABLE)


@mutation
def read_then_write(ctx: Context, *, account_id: int) -> None:
    attempts.append("read")
    account = Account.objects.get(pk=account_id)
    if len(attempts) == 1:
        elsewhere(lambda: Account.objects.filter(pk=account.pk).update(balance=5))
    account.balance += 1
    account.save()


def test_serialization_failure_is_repeated(execute_due):
    account = Account.objects.create()
    function_id = ctx.scheduler.run_after(0, read_then_write, account_id=account.pk)

    execute_due(Until.NOTHING_PENDING)

    assert (record(function_id).state, record(function_id).attempts) == (State.SUCCESS, 2)
    assert Account.objects.get().balance == 6


def test_executors_that_conflict_with_each_other_go_on_at_once(transactional_db, caplog):
    ids = ctx.scheduler.run_after_many(0, write, [{"label": "once"}] * 60)

    with executing(concurrency=2), executing(concurrency=2):
        succeeded = type(record(ids[0])).objects.filter(pk__in=ids, state=State.SUCCESS)
        wait_until(lambda: succeeded.count() == 60, "all of them succeeded", timeout=30)

    assert Entry.objects.count() == 60
    assert not any("could not look for due functions" in each.getMessage() for each in caplog.records)
