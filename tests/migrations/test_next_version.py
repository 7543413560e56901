"""During a deploy, executors and web servers of this version meet tables that the next one has already migrated.

Before there is a next version, its migration is made up here: it does to every table what ``docs/upgrading.md`` lets
a migration do.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, models
from django.db.migrations import AddField, AddIndex, Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

from django_scheduler import crons, ctx
from django_scheduler.crons.history import functions_of
from django_scheduler.executor.poller import Until
from django_scheduler.models import ScheduledFunction, State
from tests.crons.functions import tick
from tests.functions import note, note_and_raise, note_async, write, write_and_raise, write_then_schedule
from tests.models import Entry
from tests.support.in_process import executing
from tests.support.waiting import wait_until

APP = "django_scheduler"


def what_a_migration_may_do(model: type[models.Model]) -> list[Operation]:
    name = model.__name__
    fields = ["nullable_in_next", "defaulted_in_next"]
    return [
        AddField(name, fields[0], models.IntegerField(null=True)),
        AddField(name, fields[1], models.CharField(max_length=20, db_default="new")),
        AddIndex(name, models.Index(fields=fields, name=f"next_{name.lower()}")),
    ]


@pytest.fixture
def migrate_to_next_version(transactional_db) -> Iterator[Callable[[], None]]:
    """Migrate as the next version may; afterwards that is undone."""
    loader = MigrationLoader(connection)
    (newest,) = loader.graph.leaf_nodes(APP)
    models_of_app = [model for model in apps.get_app_config(APP).get_models() if not model._meta.proxy]

    class NextVersion(Migration):
        operations = [operation for model in models_of_app for operation in what_a_migration_may_do(model)]

    migration = NextVersion("next_version", APP)
    migrated = False

    def migrate() -> None:
        nonlocal migrated
        with connection.schema_editor() as editor:
            migration.apply(loader.project_state(newest), editor)
        migrated = True

    yield migrate

    if migrated:
        with connection.schema_editor() as editor:
            migration.unapply(loader.project_state(newest), editor)


class Expected:
    """One function for each way to the end, and what is to become of it."""

    def __init__(self) -> None:
        run_after = ctx.scheduler.run_after
        self.states = {
            run_after(0, write, label="mutation"): State.SUCCESS,
            run_after(0, write_and_raise, label="undone"): State.FAILED,
            run_after(0, write_then_schedule, label="parent"): State.SUCCESS,
            run_after(0, note, label="action"): State.SUCCESS,
            run_after(0, note_async, label="async action"): State.SUCCESS,
            run_after(0, note_and_raise, label="failed action"): State.FAILED,
            run_after(timedelta(days=1), write, label="canceled"): State.CANCELED,
            **dict.fromkeys(
                ctx.scheduler.run_after_many(0, write, [{"label": str(number)} for number in range(5)]), State.SUCCESS
            ),
        }
        ctx.scheduler.cancel(next(pk for pk, state in self.states.items() if state == State.CANCELED))
        self.cron = ctx.crons.register("a cron", crons.Interval(hours=1), tick)

    def has_ended(self) -> bool:
        unfinished = ScheduledFunction.objects.filter(state__in=[State.PENDING, State.IN_PROGRESS])
        return functions_of(self.cron).exists() and not unfinished.exists()

    def check(self) -> None:
        rows = ScheduledFunction.objects.filter(pk__in=self.states)
        assert dict(rows.values_list("pk", "state")) == self.states
        assert functions_of(self.cron).get().state == State.SUCCESS
        assert ScheduledFunction.objects.get(name="tests:count_entries").state == State.SUCCESS
        once = ["mutation", "parent", "action", "async action", "failed action", "0", "1", "2", "3", "4"]
        labels = Entry.objects.exclude(function_id__in=functions_of(self.cron).values("pk"))
        assert sorted(labels.values_list("label", flat=True)) == sorted(once)


def test_an_executor_that_runs_while_the_tables_are_migrated_goes_on_and_so_do_commands(migrate_to_next_version):
    with executing():
        migrate_to_next_version()
        expected = Expected()
        call_command("checkscheduled", verbosity=0)
        call_command("synccrons", verbosity=0)
        call_command("scheduler_status", verbosity=0)
        wait_until(expected.has_ended, "everything that was scheduled has ended")
    expected.check()
    call_command("prunescheduled", "--older-than=0s", verbosity=0)
    assert not ScheduledFunction.objects.filter(pk__in=expected.states).exists()


def test_what_was_scheduled_before_the_migration_is_executed_after_it(migrate_to_next_version):
    expected = Expected()
    migrate_to_next_version()
    with executing(until=Until.NOTHING_DUE) as executor:
        assert executor.wait(timeout=20)
    expected.check()
