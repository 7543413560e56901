"""Fields hold what has to be the same on every database: names."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import lookups


class NameField(models.CharField):  # type: ignore[type-arg]
    """Holds a name, and compares it byte by byte: in MySQL and MariaDB too, whatever the collation of the database.

    There, ``email``, ``Email``, ``émail`` and ``email`` with a blank behind it would be one queue otherwise.
    """

    def db_parameters(self, connection: Any) -> dict[str, Any]:
        parameters: dict[str, Any] = super().db_parameters(connection)
        if connection.vendor == "mysql":
            # Of the binary collations those that do not ignore blanks at the end.
            parameters["collation"] = "utf8mb4_nopad_bin" if connection.mysql_is_mariadb else "utf8mb4_0900_bin"
        return parameters


class _IgnoresCase(models.Lookup):
    def process_lhs(self, compiler: Any, connection: BaseDatabaseWrapper, lhs: Any = None) -> tuple[str, Any]:
        sql, params = super().process_lhs(compiler, connection, lhs)
        return (f"{sql} COLLATE utf8mb4_general_ci" if connection.vendor == "mysql" else sql), params


# MySQL leaves it to the column's collation whether these do what they are called for.
for _lookup in (lookups.IExact, lookups.IContains, lookups.IStartsWith, lookups.IEndsWith, lookups.IRegex):
    NameField.register_lookup(type(_lookup.__name__, (_IgnoresCase, _lookup), {}))
