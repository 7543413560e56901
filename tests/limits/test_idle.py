"""Where nothing waits, limits cost an idle executor nothing."""

from datetime import timedelta

import pytest

from django_scheduler import Context, RateLimit, action, ctx, mutation
from django_scheduler.models import ScheduledFunction, State
from tests.support.in_process import executing
from tests.support.waiting import wait_until

#: Enough that nobody waits, and enough to be let in at once.
MANY = RateLimit(100, per=timedelta(hours=1), name="many")

#: What an executor does by itself, however idle.
OF_HEARTBEATS = ("heartbeat", "recovery")


@mutation(rate_limit=MANY)
def write_rarely(ctx: Context) -> None: ...


@action(rate_limit=MANY)
def send_rarely(ctx: Context) -> None: ...


@mutation(rate_limit=RateLimit(1, per=timedelta(seconds=0.1), name="one"))
def write_one_by_one(ctx: Context) -> None: ...


@pytest.fixture
def _quick_heartbeats(settings):
    """So seldom do they poll that also a slow machine has ten heartbeats in between."""
    settings.DJANGO_SCHEDULER = {"HEARTBEAT_INTERVAL": timedelta(seconds=0.1), "POLL_INTERVAL": timedelta(minutes=1)}


@pytest.mark.only_on("postgresql")
@pytest.mark.usefixtures("_quick_heartbeats")
@pytest.mark.parametrize("functions", [[write_rarely, send_rarely], [write_one_by_one] * 3], ids=["free", "waited"])
def test_executor_whose_limits_nobody_waits_for_executes_hardly_a_statement(transactional_db, tasks, functions):
    seen = [0, 0]

    def nothing_else_happens_during_ten_heartbeats():
        heartbeats = tasks.count("heartbeat")
        others = len([each for each in tasks if each not in OF_HEARTBEATS])
        if others != seen[1]:
            seen[:] = heartbeats, others
        return heartbeats - seen[0] >= 10

    with executing(concurrency=2):
        ids = [ctx.scheduler.run_after(0, each) for each in functions]
        succeeded = ScheduledFunction.objects.filter(pk__in=ids, state=State.SUCCESS)
        wait_until(lambda: succeeded.count() == len(ids), "all of them succeeded")
        wait_until(nothing_else_happens_during_ten_heartbeats, "it did nothing but look after executors ten times")
    assert "second session" in tasks
