"""``Database`` answers by SQL that all vendors understand; a vendor overrides what it can do better, or in another way.

How rows are inserted and changed is in ``sql.py``, the rows of keys in ``key_rows.py``, those of limits in
``slots.py`` and ``rates.py``, and looks and claims in ``claiming.py``. Here is what is not asked for each function:
times and conditions for the ORM, and the catalog.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, ClassVar, TypeVar

from django.db.models import Case, CharField, F, Func, Model, Q, QuerySet, When
from django.db.models.functions import Coalesce
from django.db.models.lookups import In
from django.utils import timezone

from django_scheduler.databases import django_internals
from django_scheduler.databases.claiming import Claiming
from django_scheduler.databases.key_rows import KeyRows
from django_scheduler.databases.rates import RateRows
from django_scheduler.databases.rows import DUE_AT_ONCE, DUE_BEFORE, DUE_TIME, NOW
from django_scheduler.databases.sql import uses_pythons_clock
from django_scheduler.fields import InstantSQL
from django_scheduler.models import FAR

M = TypeVar("M", bound=Model)

#: For how long what was read of the catalog is taken to be so, in seconds.
CATALOG_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Catalog:
    """Holds what was read of the catalog of a database."""

    special_relations: frozenset[str] = frozenset()
    read_again_at: float = 0.0
    #: How many triggers there were, and the latest of them.
    triggers: object = None


class Database(Claiming, KeyRows, RateRows):
    """Answers all that can be asked of a database."""

    #: The statement by which the catalog tells its ``special_relations``.
    special_relations_sql: ClassVar[str]

    #: The SQL of where the first blank of a text stands, from 1; 0: it has none.
    position_of_blank: ClassVar[str] = "INSTR({}, ' ')"

    def __init__(self, using: str) -> None:
        super().__init__(using)
        self._catalog = Catalog()

    def now(self) -> InstantSQL:
        """Return the present for the ORM, by the clock that decides what is due."""
        now = self._now()
        return InstantSQL(now.text, now.params)

    def ago(self, length: timedelta) -> InstantSQL:
        """Return a time in the past for the ORM, by the same clock, counted without regard to any zone."""
        then = self._scheduled_and_due(-length)[0]
        return InstantSQL(then.text, then.params)

    def for_orm(self, value: Any) -> Any:
        """Return a value that is written as the ORM takes it.

        It may be ``NOW``; a time, or a ``timedelta`` from now, is that of ``due_time``, and is not before now.
        """
        if value is NOW:
            return self.now()
        if value is DUE_TIME:
            return F("due_time")
        if value is DUE_BEFORE or value is DUE_AT_ONCE:
            waits = Q(waits_for__isnull=False) if value is DUE_BEFORE else Q(due_time=FAR)
            otherwise = F("due_time") if value is DUE_BEFORE else self.now()
            return Case(When(waits, then=Coalesce("waiting_since", self.now())), default=otherwise)
        if isinstance(value, timedelta | datetime):
            due = self._scheduled_and_due(value)[1]
            return InstantSQL(due.text, due.params)
        return value

    def current_time(self) -> datetime:
        """Return the present, by the same clock."""
        return timezone.now() if uses_pythons_clock() else self._current_time()

    def _current_time(self) -> datetime:
        with self.connection.cursor() as cursor:
            cursor.execute(f"SELECT {self._time(self.clock)}")
            time: datetime = cursor.fetchone()[0]
        return time.replace(tzinfo=UTC)

    @property
    def zone_of_columns(self) -> tzinfo:
        """Return the zone in which Django's date functions have to be asked to take our columns for UTC."""
        connection: Any = self.connection
        zone: tzinfo = UTC if connection.features.supports_timezones else connection.timezone
        return zone

    def is_in_state(self, *states: str) -> In:
        """Return the ORM's condition that rows, which are chosen by their ids, are in one of the states."""
        template = self.state_of_chosen.format("%(expressions)s")
        return In(Func(F("state"), template=template, output_field=CharField()), states)

    def locking(self, rows: QuerySet[M], *, skip_locked: bool = False, strongest: bool = False) -> QuerySet[M]:
        """Return the query with locks on what it reads, as far as the vendor has such.

        ``skip_locked``: it passes over what others have locked. ``strongest``: nobody can insert a row meanwhile that
        refers to one of them.
        """
        features = self.connection.features
        return rows.select_for_update(
            skip_locked=skip_locked and features.has_select_for_update_skip_locked,
            no_key=features.has_select_for_no_key_update and not strongest,
        )

    def by_primary_key(self, rows: QuerySet[M]) -> QuerySet[M]:
        """Return the query so that it reads those rows only that it chooses by their primary keys."""
        return rows

    def delete(self, model: type[Model], ids: Sequence[int]) -> int:
        """Delete rows by their ids, and nothing else: they are not loaded, and no signal is sent."""
        with self.connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {model._meta.db_table} WHERE id IN ({', '.join(['%s'] * len(ids))})", ids)
            return int(cursor.rowcount)

    def special_relations(self) -> frozenset[str]:
        """Return the names of the tables that do more than keep rows, in lower case.

        Those with triggers, rules or row-level security of the user's, or with defaults and constraints that call the
        user's functions; those whose rows make the database change rows of such tables; views; and tables without
        transactions. And those of functions of the user's that no statement tells from harmless ones. Mutations that
        share a transaction must not touch them. They are read again every ``CATALOG_SECONDS``.
        """
        known, connection = self._catalog, self.connection
        if time.monotonic() >= known.read_again_at:
            with django_internals.leaving_nothing(connection), connection.cursor() as cursor:
                cursor.execute(self.special_relations_sql)
                names = frozenset(row[0] for row in cursor.fetchall())
            self._catalog = known = Catalog(names, time.monotonic() + CATALOG_SECONDS)
        return known.special_relations
