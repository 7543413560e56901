"""Scheduling: how functions get into the table, and how the time at which they are due is changed."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from django_scheduler.databases.alias import Alias
from django_scheduler.databases.rows import NewRow
from django_scheduler.databases.sql import TABLE, Sql
from django_scheduler.models import ScheduledFunctionId, State


class Scheduling(Alias):
    def insert(self, rows: Sequence[NewRow]) -> list[ScheduledFunctionId]:
        """Write the rows, in one statement, and return their ids in the same order."""
        placeholders, params = [], []
        for row in rows:
            now = self._now()
            scheduled, due = self._scheduled_and_due(row.time)
            if row.hand_over is not None:
                due = self._scheduled_and_due(row.hand_over)[1]
            completed = now if row.state == State.CANCELED else Sql("NULL")
            placeholders.append(
                f"(%s, %s, {self._json('%s')}, %s, %s, %s, {scheduled.text}, {due.text}, {now.text},"
                f" {completed.text}, 0, '', '', '', %s, '', %s)"
            )
            params += [row.name, row.kind, row.args, row.state, row.queue, row.priority]
            params += [*scheduled.params, *due.params, *now.params, *completed.params, row.parent_id, row.trace_context]
        return self._insert(
            f"INSERT INTO {TABLE} (name, kind, args, state, queue, priority, scheduled_time, due_time, creation_time,"
            " completed_time, attempts, failure, error, traceback, parent_id, worker, trace_context)"
            f" VALUES {', '.join(placeholders)}",
            params,
        )

    def _insert(self, statement: str, params: list[Any]) -> list[ScheduledFunctionId]:
        with self.connection.cursor() as cursor:
            cursor.execute(f"{statement} RETURNING id", params)
            return [row[0] for row in cursor.fetchall()]

    def send_wakeup(self) -> None:
        """Tell the executors of other processes to look; nothing where the database cannot."""

    def reschedule(self, ids: Collection[int], time: timedelta | datetime) -> None:
        """Make pending functions due after a delay or at a time, but not before now."""
        if ids:
            due = self._scheduled_and_due(time)[1]
            with self.connection.cursor() as cursor:
                cursor.execute(
                    f"UPDATE {TABLE} SET due_time = {due.text} WHERE state = 'pending'"
                    f" AND id IN ({', '.join(['%s'] * len(ids))})",
                    [*due.params, *ids],
                )
