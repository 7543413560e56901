"""What differs between PostgreSQL, MySQL/MariaDB and SQLite, and nothing else.

``database_for(alias)`` gives the one object that knows. A new database is a new file with a subclass of ``Database``,
and a line here. Its rooms:

* ``base.py`` is ``Database``: all that one can be asked. Each kind of question is a file, with the SQL that all of them
  understand: ``scheduling.py``, ``lanes.py``, ``claiming.py``, ``recording.py``, ``browsing.py``, ``sessions.py``,
  ``transactions.py``, ``failures.py``. ``alias.py`` is what they have in common, ``rows.py`` what they take and return,
  ``sql.py`` how they write it.
* ``postgresql.py``, ``mysql.py`` and ``sqlite.py`` answer differently where they must. Of PostgreSQL,
  ``interruption.py`` is how a cancel interrupts a mutation, ``listening.py`` hears wake-ups, and ``pooling.py`` notices
  a connection pooler.
  ``silence.py`` is about connections whose other end is gone.
* ``inspection.py`` is for the system checks.
"""

from functools import cache

from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from django_scheduler.databases.contract import NOW, Backlog, Claimable, Lane, NewRow
from django_scheduler.databases.inspection import clock_difference, inspection_of
from django_scheduler.databases.mysql import MySQL
from django_scheduler.databases.postgresql.database import PostgreSQL
from django_scheduler.databases.queries import Database
from django_scheduler.databases.sqlite import SQLite

__all__ = [
    "NOW",
    "VENDORS",
    "Backlog",
    "Claimable",
    "Database",
    "Lane",
    "NewRow",
    "clock_difference",
    "database_for",
    "inspection_of",
]

_BY_VENDOR: dict[str, type[Database]] = {"postgresql": PostgreSQL, "mysql": MySQL, "sqlite": SQLite}

#: ``connection.vendor`` of the databases that functions can be scheduled in. (MariaDB's is ``mysql``.)
VENDORS = frozenset(_BY_VENDOR)


@cache
def database_for(using: str) -> Database:
    """The database of that alias.

    Raises ``ImproperlyConfigured`` for a database of another kind.
    """
    vendor = connections[using].vendor
    if vendor not in _BY_VENDOR:
        raise ImproperlyConfigured(
            f"django_scheduler works on PostgreSQL, MySQL, MariaDB and SQLite; the database {using!r} is {vendor}."
        )
    return _BY_VENDOR[vendor](using)
