"""Two versions of one app run side by side while it is deployed: nothing fails because of who finds it first."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from django_scheduler.models import ScheduledFunction, State
from tests.models import Entry
from tests.support import forked_processes
from tests.support.executor_processes import ExecutorProcess, ExecutorProcesses, nothing_left_behind
from tests.support.waiting import wait_until

pytestmark = pytest.mark.once

OLD = """
from django_scheduler import action, mutation
from tests.models import Entry

@mutation
def bake(ctx, *, label):
    Entry.objects.create(label=label, function_id=ctx.function_id)

@action
def announce(ctx, *, label):
    Entry.objects.create(label=label, function_id=ctx.function_id)

@mutation
def sell(ctx, *, label):
    Entry.objects.create(label=label, function_id=ctx.function_id)
"""

NEW = """
from dataclasses import dataclass
from django_scheduler import action, mutation
from tests.models import Entry

@dataclass
class Glaze:
    color: str

@mutation
def bake(ctx, *, label, glaze=None):
    Entry.objects.create(label=label, function_id=ctx.function_id)

@action
def announce(ctx, *, label, loudly=False):
    Entry.objects.create(label=label, function_id=ctx.function_id)

@mutation(aliases=("sell",))
def sell_bread(ctx, *, label):
    Entry.objects.create(label=label, function_id=ctx.function_id)

@action
def decorate(ctx, *, label):
    Entry.objects.create(label=label, function_id=ctx.function_id)
"""

#: How many functions of each sort are scheduled.
EACH = 10

SCHEDULE_AS_OLD_CODE = f"""
import django
django.setup()
from bakery import functions
from django_scheduler import ctx
for number in range({EACH}):
    ctx.scheduler.run_after(0, functions.sell, label=f"old sell {{number}}")
"""

SCHEDULE_AS_NEW_CODE = f"""
import django
django.setup()
from bakery import functions
from django_scheduler import ctx
for number in range({EACH}):
    ctx.scheduler.run_after(0, functions.decorate, label=f"decorate {{number}}")
    ctx.scheduler.run_after(0, functions.bake, label=f"glazed {{number}}", glaze=functions.Glaze("red"))
    ctx.scheduler.run_after(0, functions.announce, label=f"loud {{number}}", loudly=True)
    ctx.scheduler.run_after(0, functions.sell_bread, label=f"sell {{number}}")
    ctx.scheduler.run_after(0, functions.bake, label=f"plain {{number}}")
    ctx.scheduler.run_after(0, functions.announce, label=f"quiet {{number}}")
"""


class Version:
    """One version of the app ``bakery``, as it is deployed to hosts of its own."""

    def __init__(self, directory: Path, source: str, environment: dict[str, str]) -> None:
        (directory / "bakery").mkdir(parents=True)
        (directory / "bakery" / "__init__.py").touch()
        (directory / "bakery" / "functions.py").write_text(source)
        self._environment = {
            **environment,
            "PYTHONPATH": f"{directory}:{':'.join(sys.path)}",
            "TEST_APPS": "bakery",
        }
        self.executors = ExecutorProcesses(self._environment, directory)

    def run(self, program: str) -> None:
        """Run a program as a web server of this version would."""
        done = forked_processes.run(["-c", program], self._environment)
        assert done.returncode == 0, done.stderr

    def start_executor(self) -> ExecutorProcess:
        return self.executors.start()


@pytest.fixture
def deploy(child_environment, tmp_path) -> Iterator[Callable[[str, str], Version]]:
    versions: list[Version] = []

    def start(name: str, source: str) -> Version:
        versions.append(Version(tmp_path / name, source, child_environment))
        return versions[-1]

    yield start
    for version in versions:
        with nothing_left_behind(version.executors):
            pass


def count(**columns: object) -> int:
    return ScheduledFunction.objects.filter(**columns).count()


@pytest.mark.timeout(120)
def test_while_a_version_is_deployed_everything_is_executed_once_by_an_executor_that_can(deploy):
    old, new = deploy("old", OLD), deploy("new", NEW)
    old.run(SCHEDULE_AS_OLD_CODE)
    new.run(SCHEDULE_AS_NEW_CODE)

    with_old_code = old.start_executor()
    wait_until(lambda: count(state=State.SUCCESS) == 3 * EACH, "the old code has executed what it can")
    wait_until(lambda: count(state=State.PENDING, unknown_since__isnull=False) == 4 * EACH, "it has left the rest")
    with_new_code = new.start_executor()
    wait_until(lambda: count(state=State.SUCCESS) == 7 * EACH, "the new code has executed the rest")

    assert with_old_code.stop() == with_new_code.stop() == 0
    executed = Entry.objects.order_by("function_id").values_list("function_id", flat=True)
    assert list(executed) == list(ScheduledFunction.objects.order_by("pk").values_list("pk", flat=True))
