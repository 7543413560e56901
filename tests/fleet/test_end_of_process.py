"""The end of a process that executes by id: it waits for no database."""

import os
import socket
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import pytest

from django_scheduler import ctx
from django_scheduler.executor import by_id
from tests.functions import write
from tests.support.statements import statements_through

#: A thread registers this process. Once the test says so, the process ends.
REGISTER_AND_END = """
import threading
import django

django.setup()
from django_scheduler.executor.by_id import execute

threading.Thread(target=execute, args=[7], daemon=True).start()
input()
"""


@pytest.mark.only_on("postgresql", "mysql")
def test_process_that_is_about_to_register_ends_although_its_database_says_nothing():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"root@127.0.0.1:{silent.getsockname()[1]}"
        url = urlsplit(os.environ["DATABASE_URL"])._replace(netloc=address, query="").geturl()
        process = subprocess.Popen(
            [sys.executable, "-c", REGISTER_AND_END],
            env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"},
            stdin=subprocess.PIPE,
        )
        silent.settimeout(30)
        client, _ = silent.accept()
        with client, process:
            try:
                process.communicate(b"\n", timeout=20)
            finally:
                process.kill()
    assert process.returncode == 0


def test_leaving_does_not_wait_for_a_thread_that_registers(transactional_db):
    function_id = ctx.scheduler.run_after(0, write, label="x")
    asks, may_go_on = threading.Event(), threading.Event()

    def wait_where_it_registers(execute, sql, *arguments):
        if "django_scheduler_executor" in sql and threading.current_thread() is registers:
            asks.set()
            may_go_on.wait(30)
        return execute(sql, *arguments)

    registers = threading.Thread(target=by_id.execute, args=[function_id])
    leaves = threading.Thread(target=by_id.leave)
    with statements_through(wait_where_it_registers):
        registers.start()
        assert asks.wait(20)
        leaves.start()
        leaves.join(20)
        has_left = not leaves.is_alive()
        may_go_on.set()
        registers.join(20)
        leaves.join(20)
    assert has_left
