"""The demo keeps its word, and says so when it does not: as whoever runs it sees it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from django_scheduler import ctx
from django_scheduler.models import Executor, ScheduledFunction, State
from testproject.orders.functions import reserve_stock, send_confirmation
from testproject.orders.models import Order
from tests.support import forked_processes

#: It is several programs that import everything, one after the other, beside the rest of the suite.
pytestmark = [pytest.mark.timeout(180), pytest.mark.once]

COMMAND = [sys.executable, "-m", "testproject.demo"]


@pytest.fixture
def environment(child_environment, transactional_db) -> dict[str, str]:
    return {**child_environment, "PYTHONUTF8": "1", "SHOP_DAY_SECONDS": "0.5"}


@pytest.fixture
def environment_of_its_own(tmp_path) -> dict[str, str]:
    """That of a demo whose database nobody looks at: what it tells is the same beside every database."""
    database = {"DATABASE_URL": f"sqlite:///{tmp_path / 'shop.sqlite3'}"}
    return {**os.environ, **forked_processes.ENVIRONMENT, **database, "PYTHONUTF8": "1", "SHOP_DAY_SECONDS": "0.5"}


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "--once", *arguments]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as demo:
        try:
            stdout, stderr = demo.communicate(timeout=120)
        finally:
            demo.terminate()  # killed, it could not stop its own processes
    return subprocess.CompletedProcess(command, demo.returncode, stdout, stderr)


@contextmanager
def courier() -> Iterator[str]:
    """A courier that answers, which the demo does not expect."""

    class Courier(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Courier) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.thorough
def test_every_promise_is_held_also_after_a_demo_that_was_interrupted(environment):
    order = Order.objects.create(email="ann@customers.example", items=["Cups"])
    left = [ctx.scheduler.run_after(0, function, order_id=order.pk) for function in (reserve_stock, send_confirmation)]
    demo = run(environment)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "All 9 held." in demo.stdout
    assert "✗" not in demo.stdout
    assert "\033" not in demo.stdout, "colors are for terminals"
    assert not demo.stderr
    assert not Executor.objects.exists(), "the scheduler was stopped in good order"
    states = ScheduledFunction.objects.in_bulk(left)
    assert [states[function_id].state for function_id in left] == [State.CANCELED, State.SUCCESS]


@pytest.mark.thorough
def test_a_broken_promise_is_told(environment_of_its_own):
    with courier() as address:
        demo = run({**environment_of_its_own, "COURIER": address, "SHOP_DAY_SECONDS": "0.1"})
    assert demo.returncode == 1, demo.stdout + demo.stderr
    assert "✗ An action that fails is on record, and is not started again" in demo.stdout
    assert " of 9 broken." in demo.stdout


@pytest.mark.thorough
def test_stopping_the_demo_stops_its_processes(environment):
    with subprocess.Popen(COMMAND, env=environment, stdout=subprocess.PIPE, encoding="utf-8") as demo:
        assert demo.stdout is not None
        assert any("succeeded" in line for line in demo.stdout), "nothing was executed"
        assert Executor.objects.exists()
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(timeout=20) == 128 + signal.SIGTERM
    assert not Executor.objects.exists()


def test_a_database_that_cannot_be_used_is_one_line(environment_of_its_own):
    demo = run({**environment_of_its_own, "DATABASE_URL": "sqlite:////nowhere/shop.sqlite3"})
    assert demo.returncode == 1
    assert demo.stderr == (
        "The demo cannot go on. The sqlite database '/nowhere/shop.sqlite3' cannot be used: unable to open database"
        " file\n"
    )


@pytest.mark.thorough
def test_a_port_that_is_taken_is_told(environment):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        demo = run(environment, "--port", str(taken.getsockname()[1]))
    assert demo.returncode == 1
    assert "That port is already in use" in demo.stderr
