"""Whether a process is still there: also if it is a zombie, or another one has been given its id."""

import os
import subprocess
import sys

import pytest

from django_scheduler.executor.heartbeat import is_alive, process_space, process_start
from tests.support.forked_processes import ENVIRONMENT, run
from tests.support.waiting import wait_until

pytestmark = pytest.mark.once

#: The id of a user who owns nothing.
NOBODY = 65534


@pytest.fixture
def child():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_running_process_is_alive(child):
    assert is_alive(child.pid, process_start(child.pid))


def test_this_process_is_alive():
    assert is_alive(os.getpid(), process_start(os.getpid()))


def test_zombie_is_not_alive(child):
    start = process_start(child.pid)
    child.kill()
    wait_until(lambda: not is_alive(child.pid, start), "the child ended, although nobody has waited for it")
    assert process_start(child.pid) == start  # the kernel still has it on record


def test_process_that_has_ended_is_not_alive(child):
    start = process_start(child.pid)
    child.kill()
    child.wait()
    assert not is_alive(child.pid, start)


def test_later_process_with_the_same_id_is_another_one(child):
    assert not is_alive(child.pid, process_start(os.getpid()) + "1")


def test_process_of_another_user_is_alive():
    """Also for somebody who may not send it a signal, as root may."""
    source = (
        "import os, django; django.setup();"
        "from django_scheduler.executor.heartbeat import is_alive, process_start;"
        f"os.geteuid() or os.setuid({NOBODY});"
        "assert is_alive(1, process_start(1))"
    )
    done = run(["-c", source], {**os.environ, **ENVIRONMENT})
    assert done.returncode == 0, done.stderr


def test_processes_of_one_host_share_a_process_space(child_environment):
    source = "import django; django.setup(); from django_scheduler.executor.heartbeat import process_space"
    output = run(["-c", f"{source}; print(process_space())"], child_environment)
    assert output.stdout.strip() == process_space()
