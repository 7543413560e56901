"""A function that one process schedules starts in an idle executor of another process, when it is due."""

from functools import partial

from django.db import connection, transaction

from django_scheduler import ctx
from django_scheduler.models import ScheduledFunction, ScheduledFunctionId, State
from tests.support.records import record
from tests.support.waiting import wait_until


def test_idle_executor_starts_what_another_process_schedules(executors):
    """It is woken, except on MySQL and MariaDB, and does not wait until it looks again by itself."""
    executor = executors.start(**({} if connection.vendor == "mysql" else {"POLL_INTERVAL": 3600}))
    for _ in range(7):
        with transaction.atomic():
            function_id = ctx.scheduler.run_after(0, "tests:write", label="prompt")
        wait_until(partial(has_run, function_id), "it ran")
    assert executor.stop() == 0


def test_idle_executor_starts_a_future_function_at_its_time(executors):
    """It need not look again for that: it sleeps until then."""

    def schedule() -> list[ScheduledFunctionId]:
        delays = [1_000 + 200 * number for number in range(7)]
        return [ctx.scheduler.run_after(delay, "tests:write", label="timely") for delay in delays]

    if connection.vendor == "mysql":  # where nothing wakes it, it learns of them when it starts
        ids = schedule()
        executor = executors.start(POLL_INTERVAL=3600)
    else:
        executor = executors.start(POLL_INTERVAL=3600)
        ids = schedule()
    wait_until(lambda: all(map(has_run, ids)), "all of them ran")
    for row in ScheduledFunction.objects.filter(pk__in=ids):
        assert row.started_time
        assert row.started_time >= row.due_time
    assert executor.stop() == 0


def has_run(function_id: int) -> bool:
    return record(function_id).state == State.SUCCESS
