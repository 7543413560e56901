"""MySQL and MariaDB: row locks that are skipped; neither partial indexes nor wake-ups."""

from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError

from django_scheduler.databases.base import TABLE, Database, Sql
from django_scheduler.models import ScheduledFunctionId

#: Lock wait timeout, deadlock, record changed since it was read.
CONFLICTS = {1020, 1213}

#: Server shutting down, connection refused, gone away, lost, killed, disconnected while idle.
LOST = {1053, 1927, 2002, 2003, 2006, 2013, 2055, 4031}

#: Too many connections, lock wait timeout, disk full, lock not available.
PASSING = {1040, 1205, 1021, 3572}


class MySQL(Database):
    clock = "UTC_TIMESTAMP(6)"
    skip_locked = "FOR UPDATE SKIP LOCKED"

    def _scheduled_and_due(self, time: timedelta | datetime) -> tuple[Sql, Sql]:
        now = self._now()
        if isinstance(time, timedelta):
            after = Sql(f"{now.text} + INTERVAL %s MICROSECOND", *now.params, time // timedelta(microseconds=1))
            return after, after
        asked = self.connection.ops.adapt_datetimefield_value(time)
        due = f"GREATEST(CAST(%s AS DATETIME(6)), CAST({now.text} AS DATETIME(6)))"
        return Sql("%s", asked), Sql(due, asked, *now.params)

    def _seconds_until(self, column: str) -> Sql:
        now = self._now()
        return Sql(f"TIMESTAMPDIFF(MICROSECOND, {now.text}, {column}) / 1000000", *now.params)

    def _insert(self, statement: str, params: list[Any]) -> list[ScheduledFunctionId]:
        if self.connection.features.can_return_rows_from_bulk_insert:
            return super()._insert(statement, params)
        with self.connection.cursor() as cursor:
            cursor.execute(statement, params)
            # InnoDB gives the rows of one INSERT whose number it knows consecutive ids, and this is the first.
            first = cursor.lastrowid
            return [ScheduledFunctionId(first + number) for number in range(cursor.rowcount)]

    def _lanes(self) -> Sql:
        # Rows of values are not looked up in an index here, but a GROUP BY jumps from group to group.
        due_in = self._seconds_until("MIN(due_time)")
        return Sql(
            f"SELECT queue, priority, {due_in.text} FROM {TABLE} WHERE state = 'pending' GROUP BY queue, priority",
            *due_in.params,
        )

    def prepare_session(self) -> None:
        # Under REPEATABLE READ a locking read also locks the gaps that it passes, and inserts wait for those.
        with self.connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")

    def ends_transaction(self, error: BaseException) -> bool:
        # After a deadlock the transaction is gone without a sign, and the next statement begins another one.
        return self.is_conflict(error) or self.is_lost(error)

    def is_conflict(self, error: BaseException) -> bool:
        return _code(error) in CONFLICTS

    def is_lost(self, error: BaseException) -> bool:
        return isinstance(error, InterfaceError) or _code(error) in LOST

    def _is_passing(self, error: BaseException) -> bool:
        return _code(error) in PASSING


def _code(error: BaseException) -> object:
    return error.args[0] if isinstance(error, DatabaseError) and error.args else None
