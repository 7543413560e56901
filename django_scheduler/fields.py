"""Fields hold what has to mean the same on every database: instants and names."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.core.checks import CheckMessage
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import lookups
from django.db.models.expressions import Col, Expression, RawSQL
from django.db.models.functions.datetime import TruncBase

from django_scheduler.times import in_utc


class _ReadInUTC(Expression):
    """Is read in UTC, whatever the zone of the session.

    Otherwise which of two equal hours is meant would depend on the driver: psycopg 2 does not say, and psycopg 3 does
    not while freezegun is active.
    """

    def select_format(self, compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        if compiler.connection.features.supports_timezones and not compiler.query.subquery:
            sql = f"{sql} AT TIME ZONE 'UTC'"
        return sql, params


class _InstantColumn(_ReadInUTC, Col):
    pass


class InstantSQL(_ReadInUTC, RawSQL):
    """Is SQL whose value is an instant."""

    def __init__(self, sql: str, params: Sequence[Any]) -> None:
        super().__init__(sql, params, output_field=InstantField())


class InstantField(models.DateTimeField):  # type: ignore[type-arg]
    """Holds an instant, and returns it in UTC, whatever zone ``DATABASES`` names for the times of the database.

    Where the database has no type that knows zones, UTC is also what the column holds. Django would write there what
    the clocks of that zone show, which is the same twice in autumn.
    """

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        value = value if prepared else self.get_prep_value(value)
        if isinstance(value, datetime) and not connection.features.supports_timezones:
            value = in_utc(value).replace(tzinfo=None)
        return super().get_db_prep_value(value, connection, prepared=True)

    def get_col(self, alias: str, output_field: Any = None) -> Col:
        return _InstantColumn(alias, self, output_field)

    def from_db_value(self, value: datetime | None, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        if value is None or isinstance(expression, TruncBase):  # that one is in the zone that it was asked for
            return value
        # Without zones Django has only attached one of its own to what the column holds.
        is_aware = value.tzinfo is not None and connection.features.supports_timezones
        return in_utc(value) if is_aware else value.replace(tzinfo=UTC)


class NameField(models.CharField):  # type: ignore[type-arg]
    """Holds a name, and compares it byte by byte: in MySQL and MariaDB too, whatever the collation of the database.

    There, ``email``, ``Email``, ``émail`` and ``email`` with a blank behind it would be one queue otherwise.
    """

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        # W003 warns that old versions of MySQL index no more than 767 bytes of a column.
        return [message for message in super().check(**kwargs) if message.id != "mysql.W003"]

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
