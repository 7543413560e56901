"""One database alias: its connection, its clock, and how it takes JSON."""

from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateTimeField
from django.db.models.expressions import RawSQL
from django.utils import timezone

from django_scheduler import clock
from django_scheduler.databases.sql import Sql


class Alias(ABC):
    """What every question needs."""

    #: The database's clock, as SQL; the same throughout a statement.
    clock: ClassVar[str]

    def __init__(self, using: str) -> None:
        self.using = using

    @property
    def connection(self) -> BaseDatabaseWrapper:
        """The connection of the current thread."""
        return connections[self.using]

    def now(self) -> RawSQL:
        """The present, by the clock that decides what is due, for the ORM."""
        now = self._now()
        return RawSQL(now.text, now.params, output_field=DateTimeField())

    def _now(self) -> Sql:
        if clock.is_pythons():
            return Sql("%s", self.connection.ops.adapt_datetimefield_value(timezone.now()))
        return Sql(self.clock)

    def current_time(self) -> datetime:
        """The present, by the same clock."""
        return timezone.now() if clock.is_pythons() else self._current_time()

    def _current_time(self) -> datetime:
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {self.clock}")
            time: datetime = cursor.fetchone()[0]
        return time if timezone.is_aware(time) else time.replace(tzinfo=UTC)

    @abstractmethod
    def _scheduled_and_due(self, time: timedelta | datetime) -> tuple[Sql, Sql]:
        """When a function was asked to run, and when it is due: not before now."""

    @abstractmethod
    def _seconds_until(self, column: str) -> Sql:
        """How far a column lies ahead of now, in seconds."""

    def _json(self, text: str) -> str:
        """Text as a JSON value."""
        return text

    def _text(self, column: str) -> str:
        """A JSON column as text."""
        return column
