"""Recording: what became of a function is written into its row, if nobody else has decided meanwhile."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django_scheduler.databases.alias import Alias
from django_scheduler.databases.rows import Success
from django_scheduler.databases.sql import TABLE, Sql

#: Stands for the present in ``Database.record``.
NOW = object()


class Recording(Alias):
    def record(self, function_id: int, changes: Mapping[str, Any], *, only_if: Mapping[str, Any]) -> bool:
        """Change a row if it still is as expected, and return whether it was.

        A changed value may be ``NOW`` or, for ``due_time``, the ``timedelta`` from now.
        """
        assignments: list[str] = []
        params: list[Any] = []
        for column, value in changes.items():
            change = self._change(column, value)
            assignments.append(f"{column} = {change.text}")
            params += change.params
        conditions = " AND ".join(f"{column} = %s" for column in only_if)
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {TABLE} SET {', '.join(assignments)} WHERE id = %s AND {conditions}",
                [*params, function_id, *only_if.values()],
            )
            return bool(cursor.rowcount)

    def record_unless_held(self, function_id: int, changes: Mapping[str, Any], *, only_if: Mapping[str, Any]) -> bool:
        """``record``, but without waiting for long for somebody who has locked the row, where that can be told."""
        return self.record(function_id, changes, only_if=only_if)

    def record_successes(self, successes: Sequence[Success], *, worker: str) -> bool:
        """Record that these mutations have succeeded, in one statement; whether all were pending and due."""
        placeholders = ", ".join(["%s"] * len(successes))
        assignments, params = [], []
        for column in ("attempts", "started_time", "completed_time", "result"):
            values = [(success.id, getattr(success, column)) for success in successes]
            if any(value is not None for _, value in values):
                value_of_row = self._json("%s") if column == "result" else "%s"
                assignments.append(f"{column} = CASE id {f'WHEN %s THEN {value_of_row} ' * len(values)}END")
                params += [each for value in values for each in value]
        now = self._now()
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {TABLE} SET state = 'success', kind = 'mutation', error = '', traceback = '', worker = %s,"
                f" {', '.join(assignments)} WHERE id IN ({placeholders}) AND state = 'pending'"
                f" AND due_time <= {now.text}",
                [worker, *params, *(success.id for success in successes), *now.params],
            )
            return bool(cursor.rowcount == len(successes))

    def later(self, time: Any, seconds: float) -> Any:
        """So many seconds after a time that the driver has given, as the driver takes it."""
        moment = datetime.fromisoformat(time) if isinstance(time, str) else time
        return moment + timedelta(seconds=seconds)

    def _change(self, column: str, value: Any) -> Sql:
        if value is NOW:
            return self._now()
        if isinstance(value, timedelta):
            return self._scheduled_and_due(value)[1]
        return Sql(self._json("%s") if column == "result" else "%s", value)
