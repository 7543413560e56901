"""Databases: what differs between PostgreSQL, MySQL/MariaDB and SQLite is here.

Elsewhere only ``fields.py``, ``models.PartialIndex`` and ``checks/database.py`` name a vendor.

``database_for(alias)`` returns the ``Database`` of an alias. ``contract.py`` says what a vendor has to be able to do.
By SQL that all understand ``sql.py`` inserts and changes rows, ``key_rows.py`` has those of keys, ``slots.py`` and
``rates.py`` those of limits, and ``claiming.py`` looks and claims; ``queries.py`` has all of it, and ``browsing.py``
and ``limit_browsing.py`` are for people, in the admin and in commands. ``rows.py`` describes the rows, and
``tenants.py`` the tenants.
``postgresql/``, ``mysql.py`` and ``sqlite.py`` answer differently where they must. ``django_internals.py`` is what we
know of Django's connections.
``statements.py`` says how far a statement reaches, and ``session_guard.py`` sees each one of an executor's session.
``silence.py`` notices that the server of one is gone, and ``inspection.py`` looks at a server for system checks.
A new database is a subclass of ``Database`` with a line here, and a subclass of ``Inspection`` with a line in
``inspection.py``.
"""

from functools import cache

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils.connection import ConnectionDoesNotExist

from django_scheduler.databases import browsing, django_internals, limit_browsing
from django_scheduler.databases.inspection import clock_difference, inspection_of
from django_scheduler.databases.mysql import MySQL
from django_scheduler.databases.postgresql import PostgreSQL
from django_scheduler.databases.queries import Database
from django_scheduler.databases.rows import (
    DUE_AT_ONCE,
    DUE_BEFORE,
    DUE_TIME,
    NOW,
    TABLE,
    Backlog,
    Claimable,
    DriverTime,
    DueFunction,
    FoundSlot,
    KeyHolder,
    Lane,
    LaneKey,
    Left,
    LookedAtSlot,
    NewRows,
    TakenSlot,
    Wanted,
    WantedSlots,
    due_function_of,
)
from django_scheduler.databases.silence import Descriptor
from django_scheduler.databases.sql import portions, pythons_clock, uses_pythons_clock
from django_scheduler.databases.sqlite import SQLite
from django_scheduler.suggestions import which_there_are

__all__ = [
    "DUE_AT_ONCE",
    "DUE_BEFORE",
    "DUE_TIME",
    "NOW",
    "TABLE",
    "VENDORS",
    "Backlog",
    "Claimable",
    "Database",
    "Descriptor",
    "DriverTime",
    "DueFunction",
    "FoundSlot",
    "KeyHolder",
    "Lane",
    "LaneKey",
    "Left",
    "LookedAtSlot",
    "NewRows",
    "TakenSlot",
    "Wanted",
    "WantedSlots",
    "browsing",
    "clock_difference",
    "database_for",
    "django_internals",
    "due_function_of",
    "inspection_of",
    "limit_browsing",
    "portions",
    "pythons_clock",
    "require_alias",
    "uses_pythons_clock",
]

_BY_VENDOR: dict[str, type[Database]] = {"postgresql": PostgreSQL, "mysql": MySQL, "sqlite": SQLite}

#: ``connection.vendor`` of the databases that functions can be scheduled in. (MariaDB's is ``mysql``.)
VENDORS = frozenset(_BY_VENDOR)


def require_alias(using: str) -> None:
    """Raise ``ConnectionDoesNotExist``, as Django does, with those that there are, if there is no such database."""
    try:
        connections[using]
    except (ConnectionDoesNotExist, TypeError):
        hint = which_there_are(using, list(connections))
        raise ConnectionDoesNotExist(f"There is no database {using!r} in DATABASES. {hint}") from None


@cache
def database_for(using: str) -> Database:
    """Return the database of that alias.

    Raises ``ImproperlyConfigured`` for a database of another kind.
    """
    vendor = connections[using].vendor
    if vendor not in _BY_VENDOR:
        raise ImproperlyConfigured(
            f"django_scheduler works on PostgreSQL, MySQL, MariaDB and SQLite; the database {using!r} is {vendor}."
        )
    return _BY_VENDOR[vendor](using)
