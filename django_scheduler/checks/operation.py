"""Whether there is anybody to execute what is scheduled, and a table to schedule it in."""

from collections.abc import Iterator

from django.core.checks import CheckMessage, Error, Warning
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.db.models import QuerySet

from django_scheduler.checks.server import on_database
from django_scheduler.conf import get_settings
from django_scheduler.databases import database_for
from django_scheduler.models import Executor, ScheduledFunction, State


@on_database
def check_migrations(alias: str) -> Iterator[CheckMessage]:
    """E011: the tables are not as this version needs them."""
    migrations = MigrationExecutor(connections[alias])
    plan = migrations.migration_plan(migrations.loader.graph.leaf_nodes("django_scheduler"))
    if missing := [str(migration) for migration, _ in plan if migration.app_label == "django_scheduler"]:
        yield Error(
            f"The database {alias!r} lacks {', '.join(missing)}.",
            hint=f"Run manage.py migrate --database {alias} before anything schedules or executes.",
            id="django_scheduler.E011",
        )


@on_database
def check_executors(alias: str) -> Iterator[CheckMessage]:
    """W013: nobody executes. W014: nobody executes what is due in some queue."""
    if not _table_exists(alias):
        return  # another check says so
    served = [queues for (queues,) in _alive(alias).values_list("queues")]
    if not served:
        yield Warning(
            f"No executor is alive on the database {alias!r}: what is scheduled waits.",
            hint="Run manage.py runscheduler, and let something keep it running.",
            id="django_scheduler.W013",
        )
        return
    if not all(served):
        return  # an executor without queues serves all of them
    due = ScheduledFunction.objects.using(alias).filter(state=State.PENDING, due_time__lte=database_for(alias).now())
    waiting = due.exclude(queue__in=set().union(*served)).order_by().values_list("queue", flat=True).distinct()
    if queues := sorted(waiting):
        yield Warning(
            f"Functions are due in the queues {', '.join(queues)}, and no executor that is alive on the database"
            f" {alias!r} serves these.",
            hint="Run manage.py runscheduler with --queue for each of them, or without it for all.",
            id="django_scheduler.W014",
        )


def _table_exists(alias: str) -> bool:
    with connections[alias].cursor() as cursor:
        return Executor._meta.db_table in connections[alias].introspection.table_names(cursor)


def _alive(alias: str) -> QuerySet[Executor]:
    oldest = database_for(alias).now() - get_settings().HEARTBEAT_TIMEOUT
    return Executor.objects.using(alias).filter(heartbeat_time__gte=oldest)
