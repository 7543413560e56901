"""--reload: when the code changes, running functions end, and then it starts again with the new code."""

import os
import signal
from datetime import timedelta

import pytest
from django.db.models import F

from django_scheduler import ctx
from django_scheduler.models import Executor, ScheduledFunction, State
from tests.support import forked_processes
from tests.support.waiting import wait_until

pytestmark = pytest.mark.once

APP = """
from django_scheduler import mutation

@mutation
def tell(ctx) -> str:
    return "{told}"
"""


@pytest.fixture
def app(tmp_path):
    directory = tmp_path / "reloaded"
    directory.mkdir()
    (directory / "__init__.py").touch()
    (tmp_path / "reloaded_settings.py").write_text(
        "from tests.settings import *\nINSTALLED_APPS = [*INSTALLED_APPS, 'reloaded']\n"
    )
    return directory


@pytest.mark.thorough
def test_new_code_is_executed(executors, app, child_environment):
    module = app / "functions.py"
    module.write_text(APP.format(told="old"))
    environment = {
        **child_environment,
        "PYTHONPATH": os.pathsep.join([child_environment["PYTHONPATH"], str(app.parent)]),
        "DJANGO_SETTINGS_MODULE": "reloaded_settings",
    }
    command = ["-m", "django", "runscheduler", "--reload"]
    with (
        (app.parent / "log").open("wb") as log,
        forked_processes.start(command, environment, stderr=log) as process,
    ):
        try:
            wait_until(Executor.objects.exists, "it executed")
            old = told()
            before = Executor.objects.get().pk

            def is_started_again():
                # Again and again: it has not been watching the file from its first moment on.
                if Executor.objects.filter(pk=before).exists():
                    module.write_text(APP.format(told="new, after a change"))
                return Executor.objects.exclude(pk=before).exists()

            wait_until(is_started_again, "it started again")
            assert not Executor.objects.filter(pk=before).exists()
            assert (old, told()) == ("old", "new, after a change")
        finally:
            # The process above it only starts it again. (Being asked itself, it kills it: so does runserver's.)
            os.kill(Executor.objects.latest("started_time").process_id, signal.SIGTERM)
            assert process.wait(20) == 0
    assert not Executor.objects.exists()


def told():
    function_id = ctx.scheduler.run_after(timedelta(hours=1), "tests:write", label="reloaded")
    # This process does not know the function.
    ScheduledFunction.objects.filter(pk=function_id).update(name="reloaded:tell", args={}, due_time=F("creation_time"))
    wait_until(lambda: ScheduledFunction.objects.get(pk=function_id).completed_time, "it ran")
    row = ScheduledFunction.objects.get(pk=function_id)
    assert row.state == State.SUCCESS, row.error
    return row.result
