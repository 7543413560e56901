"""An executor's row says what runs it, and what it runs."""

import platform

import django
import pytest

from django_scheduler import __version__, ctx
from tests.processes import functions
from tests.support.waiting import wait_until

pytestmark = pytest.mark.once


def test_executor_is_on_record_with_its_versions_and_what_it_executes(executors, gate):
    executor = executors.start("--queue=default", concurrency=2, HEARTBEAT_INTERVAL=0.2)
    row = executor.row
    assert (row.process_id, row.concurrency, row.queues) == (executor.process_id, 2, ["default"])
    assert (row.version, row.django_version, row.python_version) == (
        __version__,
        django.get_version(),
        platform.python_version(),
    )
    assert row.running == []

    function_id = ctx.scheduler.run_after(0, functions.note_and_wait, label="long", gate=gate.path)
    running = [{"id": function_id, "name": "tests:note_and_wait"}]
    wait_until(lambda: executor.row.running == running, "it was on record as running")
    gate.open()
    wait_until(lambda: executor.row.running == [], "it ended")
    assert executor.stop() == 0
