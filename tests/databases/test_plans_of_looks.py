"""A look reads the index of pending functions, and nothing else of the table, whatever the statistics say."""

from datetime import timedelta

import pytest
from django.utils import timezone

from django_scheduler import ctx
from django_scheduler.databases import database_for
from django_scheduler.models import State
from tests.databases.test_plans_by_id import fill, indexes, no_autovacuum, plan
from tests.databases.test_plans_of_several_lanes import statements_of
from tests.functions import write, write_with_priority

__all__ = ["no_autovacuum"]


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("no_autovacuum")
def test_what_is_unfinished_is_found_without_reading_what_has_finished():
    fill(State.SUCCESS)
    ctx.scheduler.run_after(0, write, label="x")

    (sql, params), *_ = statements_of(lambda: ctx.scheduler.cancel_all(write))

    assert set(indexes(plan(sql, params))) == {"django_scheduler_pending", "django_scheduler_in_progress"}


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("no_autovacuum")
@pytest.mark.parametrize("ago", [None, timedelta(minutes=1), timedelta(days=-1)])
def test_look_reads_the_index_of_pending_functions(ago):
    fill(State.SUCCESS)
    for function in (write, write_with_priority):
        ctx.scheduler.run_after(0, function, label="x")
    since = None if ago is None else timezone.now() - ago

    ((sql, params),) = statements_of(lambda: database_for("default").lanes(besides=[1, 2, 3], since=since))

    found = plan(sql, params)
    assert set(indexes(found)) == {"django_scheduler_pending"}
    assert found["Shared Hit Blocks"] + found["Shared Read Blocks"] < 100
