"""What ``DJANGO_SCHEDULER`` says, and what it leaves out.

The settings of the record's database in ``DATABASES``, judged without a connection.

The order of the apps: what a site overrides must come first, or it is never seen.
"""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router

from django_scheduler import conf
from django_scheduler.models import ScheduledFunction


@register("django_scheduler")
def check_time_zones(**kwargs: Any) -> list[CheckMessage]:
    """E003: naive times. Executors and callers on several hosts could not agree on what is due."""
    if settings.USE_TZ:
        return []
    return [
        Error(
            "Scheduled functions need times with time zones, and USE_TZ is False.",
            hint="Set USE_TZ = True.",
            id="django_scheduler.E003",
        )
    ]


@register("django_scheduler")
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """E001: an unknown setting. E002: a setting with a value that it cannot have."""
    configured = getattr(settings, conf.NAME, None) or {}
    if not isinstance(configured, dict):
        return [
            Error(
                f"{conf.NAME} is not a dict but {type(configured).__name__}.",
                hint=f"Write {conf.NAME} = {{}} and put the settings into it.",
                id="django_scheduler.E002",
            )
        ]
    messages: list[CheckMessage] = []
    for name, value in configured.items():
        if name not in conf.NAMES:
            near = difflib.get_close_matches(str(name).upper(), conf.NAMES, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(conf.NAMES)}."
            messages.append(Error(f"{conf.NAME} has no setting {name!r}.", hint=hint, id="django_scheduler.E001"))
        elif problem := conf.invalid_value(name, value):
            messages.append(
                Error(
                    f"{conf.NAME}[{name!r}] {problem}, not {value!r}.",
                    hint="Correct it, or leave it out for the default.",
                    id="django_scheduler.E002",
                )
            )
    return messages


@register("django_scheduler")
def check_settings_fit_together(**kwargs: Any) -> list[CheckMessage]:
    """E004: executors that live are taken for gone. E005: no wait fits between the shortest and the longest."""
    configured = _valid_settings()
    if configured is None:
        return []
    messages: list[CheckMessage] = []
    if configured.HEARTBEAT_TIMEOUT < 2 * configured.HEARTBEAT_INTERVAL:
        messages.append(
            Error(
                f"An executor may be silent for HEARTBEAT_TIMEOUT ({configured.HEARTBEAT_TIMEOUT}), and says that it is"
                f" alive only every HEARTBEAT_INTERVAL ({configured.HEARTBEAT_INTERVAL}): one heartbeat comes late,"
                " and the actions that it is executing are recorded as lost.",
                hint="Make HEARTBEAT_TIMEOUT at least twice as long, better three times, as it is by default.",
                id="django_scheduler.E004",
            )
        )
    if configured.BACKOFF_INITIAL > configured.BACKOFF_MAXIMUM:
        messages.append(
            Error(
                f"The wait before the first retry, BACKOFF_INITIAL ({configured.BACKOFF_INITIAL}), is longer than the"
                f" longest, BACKOFF_MAXIMUM ({configured.BACKOFF_MAXIMUM}).",
                hint="Make BACKOFF_MAXIMUM longer, or BACKOFF_INITIAL shorter.",
                id="django_scheduler.E005",
            )
        )
    return messages


@register("django_scheduler", deploy=True)
def check_clock(**kwargs: Any) -> list[CheckMessage]:
    """W001: each host's own clock says what is due."""
    configured = _valid_settings()
    if configured is None or configured.CLOCK == "database":
        return []
    return [
        Warning(
            'CLOCK is "python": what is due on one host is not yet due, or long due, on another whose clock is off.',
            hint='Use "database" in production. In tests, django_scheduler.testing asks Python\'s clock anyway.',
            id="django_scheduler.W001",
        )
    ]


def _valid_settings() -> conf.Settings | None:
    """The settings, unless something is wrong with them that another check tells."""
    try:
        return conf.get_settings()
    except ImproperlyConfigured:
        return None


#: Connections that an executor keeps: those of its 8 threads, and those of what it does beside them.
CONNECTIONS_OF_AN_EXECUTOR = 8 + 5


@register("django_scheduler")
def check_connection_settings(**kwargs: Any) -> list[CheckMessage]:
    """E014: autocommit is off. E015: MySQL stores times in another time zone than its clock tells. W008: small pool."""
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
    """W006: SQLite takes its lock too late. W007: it is in memory. W009: connections are kept and never looked at."""
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
                f"Connections to the database {alias!r} are kept (CONN_MAX_AGE) and not looked at before they are used:"
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
    # As psycopg has it: 4 at least, and no more than at least.
    options = pool if isinstance(pool, dict) else {}
    largest: float = options.get("max_size") or options.get("min_size", 4)
    return largest


def _is_in_memory(name: str) -> bool:
    return name == ":memory:" or "mode=memory" in name


#: Where Django and its finders take the first of several files of the same name.
FOLDERS = ("templates", "static")


@register("django_scheduler")
def check_overrides(**kwargs: Any) -> list[CheckMessage]:
    """W003: an app overrides a template or a static file of this one, and comes after it."""
    ours = apps.get_app_config("django_scheduler")
    configs = list(apps.get_app_configs())
    files = list(_files(Path(ours.path)))
    return [
        Warning(
            f"{config.name} has files of its own for {', '.join(shadowed)}, which are not used, because it comes after"
            " django_scheduler in INSTALLED_APPS.",
            hint=f"Put {config.name!r} before 'django_scheduler'.",
            id="django_scheduler.W003",
        )
        for config in configs[configs.index(ours) + 1 :]
        if (shadowed := [file for file in files if Path(config.path, file).is_file()])
    ]


def _files(root: Path) -> Iterator[str]:
    for folder in FOLDERS:
        for path in sorted((root / folder).glob("**/*")):
            if path.is_file():
                yield path.relative_to(root).as_posix()
