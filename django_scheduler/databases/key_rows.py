"""The rows of keys: whoever schedules with a key locks its row, and sees there which function waits with it."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import ClassVar

from django_scheduler.databases.rows import KEYS, TABLE, KeyHolder
from django_scheduler.databases.sql import SqlDatabase, parsed, placeholders
from django_scheduler.models import ScheduledFunctionId, State


class KeyRows(SqlDatabase):
    """Locks and writes the rows of keys, and locks the functions that wait with them."""

    #: What an insert does with the row of a key that is there already, and how it calls the value that is given.
    on_key_that_is_there: ClassVar[str] = "ON CONFLICT (name) DO UPDATE SET"
    given: ClassVar[str] = "EXCLUDED.{}"

    def lock_keys(self, names: Sequence[str]) -> dict[str, ScheduledFunctionId | None]:
        """Lock the rows of keys, one after the other, and return to which function each refers.

        Those that are not there are inserted. It is one statement, which writes, so nothing can come between: two that
        insert the same row wait for each other, and one that has waited for a row that is deleted inserts it. What it
        returns is what was committed last, also where other statements of the transaction read an older snapshot.
        """
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {KEYS} (name) VALUES {', '.join(['(%s)'] * len(names))}"
                f" {self.on_key_that_is_there} name = {self.given.format('name')} RETURNING name, function_id",
                names,
            )
            return dict(cursor.fetchall())

    def refer_keys(self, functions: Mapping[str, ScheduledFunctionId]) -> None:
        """Have the rows of keys, which this transaction has locked, refer to these functions."""
        self._execute(
            f"INSERT INTO {KEYS} (name, function_id) VALUES {', '.join(['(%s, %s)'] * len(functions))}"
            f" {self.on_key_that_is_there} function_id = {self.given.format('function_id')}",
            [param for item in functions.items() for param in item],
        )

    def write_keys(self, keys: Mapping[ScheduledFunctionId, str]) -> None:
        """Note with which key each of these functions, which this transaction has inserted, was scheduled."""
        self._execute(
            f"UPDATE {TABLE}{self.hint_of_ids} SET call_key = CASE id {'WHEN %s THEN %s ' * len(keys)}END"
            f" WHERE id IN ({', '.join(['%s'] * len(keys))})",
            [*(param for item in keys.items() for param in item), *keys],
        )

    def lock_holders(self, ids: Sequence[int]) -> list[KeyHolder]:
        """Lock those of the functions that have not begun: pending, not expired, and locked by nobody else."""
        now = self._now()
        chosen = placeholders(ids)
        times = ", ".join(map(self._time, ("creation_time", "due_time", now.text)))
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, absorbed, {times} FROM {TABLE}{self.hint_of_ids} WHERE id IN ({chosen})"
                f" AND {self._condition('state')} AND attempts = 0"
                f" AND (expires_time IS NULL OR expires_time > {now.text}) ORDER BY id {self.skip_locked}",
                [*now.params, *ids, State.PENDING.value, *now.params],
            )
            return [
                KeyHolder(function_id, absorbed, *(parsed(time).replace(tzinfo=UTC) for time in times))
                for function_id, absorbed, *times in cursor.fetchall()
            ]
