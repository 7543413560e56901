"""Embedded in uvicorn: each of its processes executes, and lets running functions end before it does."""

import signal

import pytest

from django_scheduler import ctx
from django_scheduler.models import State
from tests.embedded.servers import UVICORN, executing
from tests.processes import functions
from tests.support.records import record

pytestmark = [pytest.mark.once, pytest.mark.thorough]


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_of_uvicorn_execute_and_let_running_functions_end(servers, gate, workers):
    server = servers.start(*UVICORN, f"--workers={workers}", is_forked=workers > 1)  # one as users start it
    server.wait_until_executing(workers)
    assert server.ask() in (301, 404)
    action_id = ctx.scheduler.run_after(0, functions.note_and_wait, label="action", gate=gate.path)
    gate.wait_for_arrivals()

    server.send(signal.SIGTERM)
    server.wait_until_logged("Waiting for application shutdown")
    assert record(action_id).state == State.IN_PROGRESS
    gate.open()
    server.end()
    assert record(action_id).state == State.SUCCESS
    assert not executing()


def test_uvicorn_that_tells_nobody_of_its_end_lets_running_functions_end(servers, gate):
    server = servers.start(*UVICORN, "--lifespan=off")
    server.wait_until_executing()
    action_id = ctx.scheduler.run_after(0, functions.note_and_wait, label="action", gate=gate.path)
    gate.wait_for_arrivals()

    server.send(signal.SIGTERM)
    server.wait_until_logged("is stopping")
    gate.open()
    assert server.end() == 0
    assert record(action_id).state == State.SUCCESS


def test_recycled_process_of_uvicorn_lets_running_functions_end(servers, gate):
    server = servers.start(*UVICORN, "--limit-max-requests=1")
    server.wait_until_executing()
    action_id = ctx.scheduler.run_after(0, functions.note_and_wait, label="action", gate=gate.path)
    gate.wait_for_arrivals()

    server.ask()
    server.wait_until_logged("Waiting for application shutdown")
    gate.open()
    assert server.end() == 0
    assert record(action_id).state == State.SUCCESS
