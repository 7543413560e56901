"""These checks look at the database of functions: at its part of ``DATABASES``, and at what it says of itself.

The checks of the settings connect to nothing. What is registered ``on_database`` is called if the database answers,
and only with ``check --deploy --database``: neither ``check`` nor ``migrate`` may need the tables that are about to be
made.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connections, router
from django.db.migrations.executor import MigrationExecutor

from django_scheduler.conf import get_settings
from django_scheduler.databases import VENDORS, clock_difference, database_for, inspection_of
from django_scheduler.models import Executor, ScheduledFunction, State

#: How many connections an executor may use at the same time: one for each of its 8 threads, and for 6 side tasks.
CONNECTIONS_OF_AN_EXECUTOR = 8 + 6

#: How much two clocks may differ, in seconds.
TOLERABLE_DIFFERENCE = 2.0


@register("django_scheduler")
def check_connection_settings(**kwargs: Any) -> Iterator[CheckMessage]:
    """E014: autocommit is off. W008: a pool is small."""
    alias, _, settings = _settings_of_database()
    if not settings.get("AUTOCOMMIT", True):
        yield Error(
            f"DATABASES[{alias!r}]['AUTOCOMMIT'] is False: what is scheduled outside of a transaction would never"
            " be committed, and executors could not tell where a transaction begins.",
            hint="Remove it, and use transaction.atomic().",
            id="django_scheduler.E014",
        )
    pool = settings.get("OPTIONS", {}).get("pool")
    if pool and (size := _largest_size(pool)) < CONNECTIONS_OF_AN_EXECUTOR:
        yield Warning(
            f"DATABASES[{alias!r}]['OPTIONS']['pool'] holds at most {size} connections. An executor needs one for"
            " each of its threads and some beside them, and keeps them: the others would wait until they fail.",
            hint=f"Set max_size to {CONNECTIONS_OF_AN_EXECUTOR} or more, or give executors no pool.",
            id="django_scheduler.W008",
        )


@register("django_scheduler", deploy=True)
def check_connection_settings_for_production(**kwargs: Any) -> Iterator[CheckMessage]:
    """W006: SQLite takes its lock too late. W007: it is in memory. W009: connections are kept and never checked."""
    alias, vendor, settings = _settings_of_database()
    if vendor == "sqlite" and settings.get("OPTIONS", {}).get("transaction_mode") != "IMMEDIATE":
        yield Warning(
            f"A transaction of the database {alias!r} that reads before it writes fails with 'database is locked'"
            " as soon as an executor has written in between, however long it would have waited.",
            hint=f"Set DATABASES[{alias!r}]['OPTIONS']['transaction_mode'] = 'IMMEDIATE'.",
            id="django_scheduler.W006",
        )
    if vendor == "sqlite" and (settings["NAME"] == ":memory:" or "mode=memory" in str(settings["NAME"])):
        yield Warning(
            f"The database {alias!r} is in the memory of this process: no executor ever sees what is scheduled.",
            hint="Use a file, or another database.",
            id="django_scheduler.W007",
        )
    if settings.get("CONN_MAX_AGE", 0) != 0 and not settings.get("CONN_HEALTH_CHECKS", False):
        yield Warning(
            f"Connections to the database {alias!r} are kept (CONN_MAX_AGE) and not checked before they are used:"
            " after the database or the network has failed, requests that schedule fail once for each of them.",
            hint=f"Set DATABASES[{alias!r}]['CONN_HEALTH_CHECKS'] = True. (Executors reconnect by themselves.)",
            id="django_scheduler.W009",
        )


Check = Callable[[str], Iterable[CheckMessage]]

_checks: list[Check] = []


def on_database(check: Check) -> Check:
    """Have a check called with the alias of the database, once that answers."""
    _checks.append(check)
    return check


@register(Tags.database, deploy=True)  # under no other tag: who asks for that one has not asked for a connection
def check_database(*, databases: Collection[str] | None = None, **kwargs: Any) -> Iterator[CheckMessage]:
    """E018: the database does not answer. If it does, yield what the other checks find."""
    alias = router.db_for_write(ScheduledFunction)
    if alias not in (databases or ()) or not _can_be_asked(alias):
        return
    if problem := _why_unreachable(alias):
        yield Error(
            f"The database {alias!r}, in which functions are scheduled, cannot be reached: {problem}",
            hint="Until it can, nothing is scheduled and nothing is executed.",
            id="django_scheduler.E018",
        )
        return
    for check in _checks:
        yield from check(alias)


@on_database
def check_features(alias: str) -> Iterator[CheckMessage]:
    """E012: the server's version lacks a feature that executors need."""
    if missing := inspection_of(alias).missing_feature():
        connection: Any = connections[alias]
        version = ".".join(map(str, connection.get_database_version()))
        yield Error(
            f"{connection.display_name} {version} of the database {alias!r} does not know {missing}.",
            hint="Needed are MariaDB 10.6, MySQL 8.0.17, SQLite 3.35 or any PostgreSQL that Django supports.",
            id="django_scheduler.E012",
        )


@on_database
def check_read_only(alias: str) -> Iterator[CheckMessage]:
    """E016: the database cannot be written to."""
    if inspection_of(alias).is_read_only():
        yield Error(
            f"The database {alias!r}, in which functions are scheduled, is read-only: perhaps it is a standby.",
            hint="Point the alias to the primary, or let db_for_write in DATABASE_ROUTERS name another one.",
            id="django_scheduler.E016",
        )


@on_database
def check_storage_engine(alias: str) -> Iterator[CheckMessage]:
    """E017: a table has a storage engine without transactions."""
    tables = [model._meta.db_table for model in apps.get_app_config("django_scheduler").get_models()]
    if wrong := inspection_of(alias).tables_without_transactions(tables):
        yield Error(
            f"There are no transactions for {', '.join(wrong)} in the database {alias!r}: what a transaction schedules"
            " would stay when it is rolled back, and a mutation that fails would leave its effects.",
            hint="ALTER TABLE ... ENGINE = InnoDB, and set default_storage_engine. The same goes for your tables.",
            id="django_scheduler.E017",
        )


@on_database
def check_journal(alias: str) -> Iterator[CheckMessage]:
    """W005: SQLite's readers and its writer wait for each other."""
    if inspection_of(alias).is_locked_by_readers():
        yield Warning(
            f"The database {alias!r} is not in WAL mode: every request that reads waits for the function that is"
            " executing, and the other way round.",
            hint=f"Set DATABASES[{alias!r}]['OPTIONS']['init_command'] = 'PRAGMA journal_mode = WAL'.",
            id="django_scheduler.W005",
        )


@on_database
def check_pooler(alias: str) -> Iterator[CheckMessage]:
    """W010: wake-ups do not pass a pooler in transaction mode. W011: nor do server-side cursors."""
    if not inspection_of(alias).is_pooled_by_transaction():
        return
    if get_settings().POLL_INTERVAL is None:
        yield Warning(
            f"The database {alias!r} is reached through a pooler in transaction mode (such as PgBouncer): executors"
            " that connect this way hear no wake-ups, and find what is due up to half a second late.",
            hint="Let executors connect directly, or choose how often they look with"
            " DJANGO_SCHEDULER['POLL_INTERVAL'].",
            id="django_scheduler.W010",
        )
    if not connections[alias].settings_dict.get("DISABLE_SERVER_SIDE_CURSORS", False):
        yield Warning(
            f"The database {alias!r} is reached through a pooler in transaction mode, where the cursor of an"
            " .iterator() that runs outside of a transaction, as in an action, is lost.",
            hint=f"Set DATABASES[{alias!r}]['DISABLE_SERVER_SIDE_CURSORS'] = True.",
            id="django_scheduler.W011",
        )


@on_database
def check_durability(alias: str) -> Iterator[CheckMessage]:
    """W012: a crash of the server loses transactions that it has reported as committed."""
    if setting := inspection_of(alias).loses_commits():
        yield Warning(
            f"The server of the database {alias!r} has {setting}: when it crashes, the last transactions are gone"
            " although they were committed, with what they scheduled and with the record of what was executed.",
            hint="Change it, unless you can do without them. Actions among them may be executed once more.",
            id="django_scheduler.W012",
        )


@on_database
def check_clock_difference(alias: str) -> Iterator[CheckMessage]:
    """W015: the clocks of this host and of the database differ."""
    difference = clock_difference(inspection_of(alias))
    if abs(difference) > TOLERABLE_DIFFERENCE:
        yield Warning(
            f"The clock of the database {alias!r} is {abs(difference):.1f} seconds"
            f" {'ahead of' if difference > 0 else 'behind'} that of this host: what is scheduled with run_at for a time"
            " that this host has computed runs by so much too early or too late.",
            hint="Synchronize the clocks of all hosts (NTP).",
            id="django_scheduler.W015",
        )


@on_database
def check_migrations(alias: str) -> Iterator[CheckMessage]:
    """E011: a migration of this version has not been applied."""
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
    """W013: no executor is alive. W014: functions are due in a queue that no executor serves."""
    if not _table_exists(alias):
        return  # E011 says so
    oldest = database_for(alias).ago(get_settings().HEARTBEAT_TIMEOUT)
    # The workers of a fleet, which have no threads, look for nothing.
    alive = Executor.objects.using(alias).filter(heartbeat_time__gte=oldest, concurrency__gt=0)
    served = alive.values_list("queues", flat=True)
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


def _settings_of_database() -> tuple[str, str, dict[str, Any]]:
    alias = router.db_for_write(ScheduledFunction)
    if alias not in connections.settings:
        return alias, "", {"NAME": ""}
    connection = connections[alias]
    return alias, connection.vendor, connection.settings_dict


def _largest_size(pool: Any) -> float:
    # As in psycopg: at least 4, and by default no more than at least.
    options = pool if isinstance(pool, dict) else {}
    largest: float = options.get("max_size") or options.get("min_size", 4)
    return largest


def _can_be_asked(alias: str) -> bool:
    """Return whether the settings allow it to be asked; if not, other checks say why."""
    try:
        get_settings()
    except ImproperlyConfigured:
        return False
    return alias in connections.settings and connections[alias].vendor in VENDORS


def _why_unreachable(alias: str) -> str | None:
    try:
        connections[alias].ensure_connection()
    except (DatabaseError, InterfaceError, ImproperlyConfigured) as error:
        return " ".join(str(error).split()) or type(error).__name__
    return None


def _table_exists(alias: str) -> bool:
    with connections[alias].cursor() as cursor:
        return Executor._meta.db_table in connections[alias].introspection.table_names(cursor)
