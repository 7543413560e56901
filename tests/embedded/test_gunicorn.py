"""Embedded in gunicorn: its workers execute, its master does not, and a worker that ends drains first."""

import json
import os
import signal
from collections import Counter

import pytest

from django_scheduler import ctx
from django_scheduler.models import ScheduledFunction, State
from tests.embedded.servers import GUNICORN, executing
from tests.models import Entry
from tests.processes import functions
from tests.support.records import record
from tests.support.waiting import wait_until


@pytest.mark.parametrize(
    ("options", "delay", "is_forked"),
    [
        pytest.param((), 0.1, True, id="plain", marks=pytest.mark.once),
        pytest.param((), 0.1, False, id="as users start it", marks=[pytest.mark.once, pytest.mark.thorough]),
        pytest.param(("--preload",), 1, True, id="preload", marks=[pytest.mark.once, pytest.mark.thorough]),
        pytest.param(("--preload",), 0, True, id="preload, and the master has begun to execute"),
    ],
)
def test_workers_of_gunicorn_execute_also_those_that_are_forked_later(servers, options, delay, is_forked):
    servers.environment["TEST_CONSTANTS"] = json.dumps({"django_scheduler.embedded.serving.DELAY": delay})
    server = servers.start(*GUNICORN, "--workers=2", *options, is_forked=is_forked)
    workers = server.wait_until_executing(2)
    assert server.process_id not in workers

    killed = min(workers)
    os.kill(killed, signal.SIGKILL)
    server.wait_until_executing(2, besides={killed})
    function_id = ctx.scheduler.run_after(0, "tests:write", label="executed")
    wait_until(lambda: record(function_id).state == State.SUCCESS, "it was executed")

    server.send(signal.SIGTERM)
    assert server.end() == 0
    assert not executing()


@pytest.mark.once
def test_restarted_workers_of_gunicorn_let_running_functions_end(servers, gate):
    server = servers.start(*GUNICORN)
    before = server.wait_until_executing()
    action_id = ctx.scheduler.run_after(0, functions.note_and_wait, label="action", gate=gate.path)
    gate.wait_for_arrivals()

    server.send(signal.SIGHUP)
    wait_until(lambda: len(executing()) == 2, "the next worker executed")
    assert record(action_id).state == State.IN_PROGRESS
    gate.open()
    server.wait_until_executing(besides=before)
    assert record(action_id).state == State.SUCCESS

    server.send(signal.SIGTERM)
    assert server.end() == 0
    assert Entry.objects.count() == 1


@pytest.mark.once
def test_async_action_that_outlives_its_worker_can_still_use_threads(servers, gate):
    server = servers.start(*GUNICORN)
    server.wait_until_executing()
    action_id = ctx.scheduler.run_after(0, functions.note_in_threads_once_open, label="action", gate=gate.path)
    gate.wait_for_arrivals()

    server.send(signal.SIGTERM)
    server.wait_until_logged("is stopping")
    gate.open()
    assert server.end() == 0
    assert record(action_id).state == State.SUCCESS, record(action_id).error
    assert (Entry.objects.count(), gate.departures) == (1, 1)


def test_function_that_outlives_the_grace_of_a_worker_is_cut_off(servers, gate):
    servers.environment["TEST_CONSTANTS"] = '{"django_scheduler.embedded.application.GRACE": 0.3}'
    server = servers.start(*GUNICORN)
    server.wait_until_executing()
    action_id = ctx.scheduler.run_after(0, functions.note_and_wait, label="action", gate=gate.path)
    gate.wait_for_arrivals()
    mutation_id = ctx.scheduler.run_after(0, functions.write_and_wait, label="mutation", gate=gate.path)
    gate.wait_for_arrivals(2)

    server.send(signal.SIGTERM)
    assert server.end() == 0
    assert gate.departures == 0
    assert record(mutation_id).state == State.PENDING
    # On SQLite the mutation was in the way of recording it; then the next executor does.
    server = servers.start(*GUNICORN)
    server.wait_until_executing()
    gate.open()
    wait_until(lambda: record(mutation_id).state == State.SUCCESS, "the mutation ran again")
    assert record(action_id).failure == "lost"
    server.send(signal.SIGTERM)
    assert server.end() == 0
    assert Counter(Entry.objects.values_list("label", flat=True)) == {"action": 1, "mutation": 1}


@pytest.mark.timeout(120)
def test_nothing_is_lost_or_doubled_while_workers_are_recycled(servers):
    servers.environment["TEST_CONSTANTS"] = json.dumps({"django_scheduler.embedded.serving.DELAY": 0.1})
    server = servers.start(*GUNICORN, "--workers=2", "--max-requests=3", "--max-requests-jitter=3")
    seen = set(server.wait_until_executing(2))

    for number in range(40):
        ctx.scheduler.run_after(0, functions.work, label=f"mutation {number}")
        ctx.scheduler.run_after(0, functions.toil, label=f"action {number}")
        server.ask()
        seen |= executing()
    everything = ScheduledFunction.objects
    wait_until(lambda: not everything.exclude(state__in=[State.SUCCESS, State.FAILED]).exists(), "all have ended")
    seen |= executing()

    assert Counter(everything.values_list("state", flat=True)) == {State.SUCCESS: 80}
    assert set(Counter(Entry.objects.values_list("label", flat=True)).values()) == {1}
    assert Entry.objects.count() == 80
    assert len(seen) > 4, "the workers were recycled"
    server.send(signal.SIGTERM)
    assert server.end() == 0
