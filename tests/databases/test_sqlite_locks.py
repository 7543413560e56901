"""Somebody holds SQLite's only lock: the executor waits, and goes on when it is free."""

import sqlite3

import pytest
from django.db import connection

from django_scheduler import ctx
from django_scheduler.models import ScheduledFunction, State
from tests.support.waiting import wait_until

pytestmark = pytest.mark.only_on("sqlite")


def test_work_resumes_when_a_writer_lets_go_of_the_lock(executors):
    executor = executors.start(HEARTBEAT_INTERVAL=0.2)
    function_id = ctx.scheduler.run_after(1_000, "tests:write", label="waiting")
    writer = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    beat = executor.row.heartbeat_time
    wait_until(
        lambda: ScheduledFunction.objects.extra(where=["due_time < datetime('now', '-2 seconds')"]), "it was due"
    )
    assert executor.row.heartbeat_time == beat
    assert ScheduledFunction.objects.get(pk=function_id).state == State.PENDING
    writer.execute("ROLLBACK")
    writer.close()
    wait_until(lambda: ScheduledFunction.objects.get(pk=function_id).state == State.SUCCESS, "it ran")
    wait_until(lambda: executor.row.heartbeat_time > beat, "it wrote heartbeats again")
    assert executor.stop() == 0
