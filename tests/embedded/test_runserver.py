"""Embedded in runserver: the process that serves executes, and shows what, with nothing but a setting."""

import os
import re
import signal

import pytest

from django_scheduler import ctx
from django_scheduler.databases import database_for
from django_scheduler.executor import recover_from_ended_processes
from django_scheduler.models import State
from tests.embedded.servers import RUNSERVER, executing
from tests.models import Entry
from tests.processes import functions
from tests.support.executor_processes import running_processes
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.once

EMBEDDED = {"EMBEDDED": True}


def test_development_server_executes_what_is_due_and_says_so(servers):
    server = servers.start(*RUNSERVER, **EMBEDDED)
    (process_id,) = server.wait_until_executing()
    assert process_id != server.process_id  # which only restarts the one that serves
    function_id = ctx.scheduler.run_after(0, "tests:write", label="executed")
    server.wait_until_logged(f"tests:write {function_id}: success")

    os.kill(process_id, signal.SIGTERM)
    assert server.end() == 0
    assert not executing()


@pytest.mark.thorough
def test_development_server_that_restarts_lets_running_functions_end_and_goes_on(servers, gate, tmp_path):
    app = tmp_path / "watched"
    app.mkdir()
    (app / "__init__.py").touch()
    servers.environment["PYTHONPATH"] = os.pathsep.join([servers.environment["PYTHONPATH"], str(tmp_path)])
    servers.environment["TEST_APPS"] = "watched"
    server = servers.start(*RUNSERVER, **EMBEDDED)
    before = server.wait_until_executing()
    action_id = ctx.scheduler.run_after(0, functions.note_and_wait, label="action", gate=gate.path)
    gate.wait_for_arrivals()

    def is_stopping():
        # Again and again: it has not been watching the file from its first moment on.
        (app / "__init__.py").write_text(f"# {os.urandom(4).hex()}\n")
        return re.search("is stopping", server.log)

    wait_until(is_stopping, "it noticed the change")
    gate.open()
    (process_id,) = server.wait_until_executing(besides=before)
    assert record(action_id).state == State.SUCCESS
    later_id = ctx.scheduler.run_after(0, "tests:write", label="later")
    wait_until(lambda: record(later_id).state == State.SUCCESS, "the next process executed")

    os.kill(process_id, signal.SIGTERM)
    assert server.end() == 0
    assert Entry.objects.count() == 2


def test_sigterm_lets_running_functions_end_where_the_server_does_not_handle_it(servers, gate):
    server = servers.start(*RUNSERVER, "--noreload", **EMBEDDED)
    server.wait_until_executing()
    action_id = ctx.scheduler.run_after(0, functions.note_and_wait, label="action", gate=gate.path)
    gate.wait_for_arrivals()

    server.send(signal.SIGTERM)
    server.wait_until_logged("is stopping")
    gate.open()
    assert server.end() == 0
    assert record(action_id).state == State.SUCCESS


def test_second_ctrl_c_ends_a_development_server_that_does_not_reload(servers, gate):
    server = servers.start(*RUNSERVER, "--noreload", **EMBEDDED)
    assert server.wait_until_executing() == {server.process_id}
    action_id = ctx.scheduler.run_after(0, functions.note_and_wait, label="action", gate=gate.path)
    gate.wait_for_arrivals()

    server.press_ctrl_c()
    server.wait_until_logged("is stopping")
    server.press_ctrl_c()
    server.wait_until_logged("is cut off")
    server.end()
    assert record(action_id).failure == "lost"


def test_ctrl_c_ends_a_development_server_that_reloads_at_once(servers):
    server = servers.start(*RUNSERVER, **EMBEDDED)
    server.wait_until_executing()
    server.press_ctrl_c()
    server.end()
    wait_until(lambda: not running_processes(group=server.process_id), "its processes ended")
    # Django gives the process that serves a quarter of a second. If that was not enough, the next executor finds it.
    recover_from_ended_processes(database_for("default"))
    assert not executing()


@pytest.mark.thorough
def test_development_server_comes_up_before_the_database_and_executes_once_that_is_migrated(servers, tmp_path):
    servers.environment["DATABASE_URL"] = f"sqlite:///{tmp_path / 'new.sqlite3'}"
    server = servers.start(*RUNSERVER, "--noreload", **EMBEDDED)
    server.wait_until_logged("No scheduled function is executed in process")
    assert server.ask() in (301, 404)
    migration = servers.start("django", "migrate")
    assert migration.end() == 0, migration.log
    server.wait_until_logged("Executor .*: django_scheduler")
    server.press_ctrl_c()
    assert server.end() == 0
