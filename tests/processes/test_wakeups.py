"""A function that one process schedules starts promptly in an idle executor of another process."""

import statistics
from functools import partial

from django.db import connection, transaction

from django_scheduler import ctx
from django_scheduler.models import ScheduledFunction, State
from tests.support.waiting import wait_until

#: The median that is promised, in seconds. Where nothing wakes an executor, it polls once a second.
PROMISED = {"postgresql": 0.05, "sqlite": 0.05, "mysql": 1.0}

#: For a machine that has other things to do.
MARGIN = 3


def test_idle_executor_starts_promptly_what_another_process_schedules(executors):
    executor = executors.start()
    waits = []
    for _ in range(7):
        with transaction.atomic():
            function_id = ctx.scheduler.run_after(0, "tests:write", label="prompt")
        wait_until(partial(has_run, function_id), "it ran")
        waits.append(seconds_late(function_id))
    assert statistics.median(waits) < PROMISED[connection.vendor] * MARGIN
    assert executor.stop() == 0


def test_idle_executor_starts_a_future_function_at_its_time(executors):
    executor = executors.start(POLL_INTERVAL=3600 if connection.vendor == "postgresql" else 1)
    ids = [ctx.scheduler.run_after(200 * number, "tests:write", label="timely") for number in range(1, 8)]
    wait_until(lambda: all(map(has_run, ids)), "all of them ran")
    waits = [seconds_late(function_id) for function_id in ids[-3:]]
    assert all(wait >= 0 for wait in waits)
    assert statistics.median(waits) < 0.05 * MARGIN
    assert executor.stop() == 0


def has_run(function_id):
    return ScheduledFunction.objects.get(pk=function_id).state == State.SUCCESS


def seconds_late(function_id):
    row = ScheduledFunction.objects.get(pk=function_id)
    assert row.started_time
    return (row.started_time - row.due_time).total_seconds()
