"""The settings of the database in which functions are scheduled, as ``DATABASES`` has them: nothing connects to it."""

from typing import Any

from django.core.checks import CheckMessage, Error, Warning, register
from django.db import connections, router

from django_scheduler.models import ScheduledFunction

#: How many connections an executor keeps: those of its 8 threads, and those of its side tasks.
CONNECTIONS_OF_AN_EXECUTOR = 8 + 5


@register("django_scheduler")
def check_connection_settings(**kwargs: Any) -> list[CheckMessage]:
    """E014: autocommit is off. E015: MySQL stores times in a zone that is not its clock's. W008: a pool is small."""
    alias, vendor, settings = _database()
    messages: list[CheckMessage] = []
    if not settings.get("AUTOCOMMIT", True):
        messages.append(
            Error(
                f"DATABASES[{alias!r}]['AUTOCOMMIT'] is False: what is scheduled outside of a transaction would never"
                " be committed, and executors could not tell where a transaction begins.",
                hint="Remove it, and use transaction.atomic().",
                id="django_scheduler.E014",
            )
        )
    time_zone = settings.get("TIME_ZONE")
    if vendor == "mysql" and time_zone not in (None, "UTC"):
        messages.append(
            Error(
                f"DATABASES[{alias!r}]['TIME_ZONE'] is {time_zone!r}: times are stored in that zone, but the database's"
                " clock says what is due in UTC.",
                hint="Remove it from the database that functions are scheduled in.",
                id="django_scheduler.E015",
            )
        )
    pool = settings.get("OPTIONS", {}).get("pool")
    if pool and (size := _largest_size(pool)) < CONNECTIONS_OF_AN_EXECUTOR:
        messages.append(
            Warning(
                f"DATABASES[{alias!r}]['OPTIONS']['pool'] holds at most {size} connections. An executor needs one for"
                " each of its threads and some beside them, and keeps them: the others would wait in vain.",
                hint=f"Set max_size to {CONNECTIONS_OF_AN_EXECUTOR} or more, or give executors no pool.",
                id="django_scheduler.W008",
            )
        )
    return messages


@register("django_scheduler", deploy=True)
def check_connection_settings_for_production(**kwargs: Any) -> list[CheckMessage]:
    """W006: SQLite takes its lock too late. W007: it is in memory. W009: connections are kept and never checked."""
    alias, vendor, settings = _database()
    messages: list[CheckMessage] = []
    if vendor == "sqlite" and settings.get("OPTIONS", {}).get("transaction_mode") != "IMMEDIATE":
        messages.append(
            Warning(
                f"A transaction of the database {alias!r} that reads before it writes fails with 'database is locked'"
                " as soon as an executor has written in between, however long it would have waited.",
                hint=f"Set DATABASES[{alias!r}]['OPTIONS']['transaction_mode'] = 'IMMEDIATE'.",
                id="django_scheduler.W006",
            )
        )
    if vendor == "sqlite" and _is_in_memory(str(settings["NAME"])):
        messages.append(
            Warning(
                f"The database {alias!r} is in the memory of this process: no executor ever sees what is scheduled.",
                hint="Use a file, or another database.",
                id="django_scheduler.W007",
            )
        )
    if settings.get("CONN_MAX_AGE", 0) != 0 and not settings.get("CONN_HEALTH_CHECKS", False):
        messages.append(
            Warning(
                f"Connections to the database {alias!r} are kept (CONN_MAX_AGE) and not checked before they are used:"
                " after the database or the network has failed, requests that schedule fail once for each of them.",
                hint=f"Set DATABASES[{alias!r}]['CONN_HEALTH_CHECKS'] = True. (Executors reconnect by themselves.)",
                id="django_scheduler.W009",
            )
        )
    return messages


def _database() -> tuple[str, str, dict[str, Any]]:
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


def _is_in_memory(name: str) -> bool:
    return name == ":memory:" or "mode=memory" in name
