"""``--alive-file``: the probe of a container needs neither Python nor the database."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.support.waiting import wait_until

pytestmark = pytest.mark.once


def age_of(file: Path) -> float:
    return time.time() - file.stat().st_mtime


def test_file_is_touched_while_all_processes_run_and_not_while_one_does_not(supervise, child_environment, tmp_path):
    constants = {
        "django_scheduler.supervisor.process.SILENT_AFTER": 0.5,
        "django_scheduler.supervisor.process.STARTS_WITHIN": 0.5,
        "django_scheduler.supervisor.supervisor.LOOK_INTERVAL": 0.1,
        "django_scheduler.supervisor.alive_file.INTERVAL": 0.1,
    }
    child_environment["TEST_CONSTANTS"] = json.dumps(constants)
    file = tmp_path / "alive"
    supervised = supervise(f"--alive-file={file}", processes=2)
    wait_until(lambda: age_of(file) < 0.5, "it was touched while both executed")

    stopped = min(supervised.process_ids)
    os.kill(stopped, signal.SIGSTOP)
    try:
        wait_until(lambda: age_of(file) > 1.5, "it was touched no more")
    finally:
        os.kill(stopped, signal.SIGCONT)
    wait_until(lambda: age_of(file) < 0.5, "it was touched again")

    assert supervised.stop() == 0
    assert not file.exists()


def test_process_without_a_supervisor_touches_it_too(executors, child_environment, tmp_path):
    child_environment["TEST_CONSTANTS"] = json.dumps({"django_scheduler.supervisor.alive_file.INTERVAL": 0.1})
    file = tmp_path / "alive"
    executor = executors.launch("--processes=0", f"--alive-file={file}")
    executor.wait_until_started()
    started = file.stat().st_mtime
    wait_until(lambda: file.stat().st_mtime > started, "it was touched again")

    assert executor.stop() == 0
    assert not file.exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--alive-file=/nowhere/alive"], "The alive file /nowhere/alive cannot be written"),
        (["--alive-file=alive", "--reload"], "leave one of them out"),
    ],
)
def test_file_that_cannot_be_kept_is_refused(transactional_db, arguments, complaint):
    with pytest.raises(CommandError, match=complaint):
        call_command("runscheduler", *arguments)
