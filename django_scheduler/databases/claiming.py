"""Claiming: the rows of due functions are locked, and those that are locked are passed over."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any, ClassVar

from django_scheduler.databases.alias import Alias
from django_scheduler.databases.rows import Claimable, Lane
from django_scheduler.databases.sql import TABLE, Sql, passing_over


class Claiming(Alias):
    #: Locks the rows that a SELECT returns and passes over those that are locked.
    skip_locked: ClassVar[str]
    #: What a claim selects besides, to let a cancel know that this transaction executes a function.
    mark_executing: ClassVar[str] = "NULL"

    def claim(
        self, lane: Lane, *, most: int = 1, before: Lane | None = None, besides: Collection[int] = ()
    ) -> list[Claimable]:
        """Lock the first functions of a lane that are due and that nobody else has locked.

        ``most``: how many. ``before``: only what comes before the first function of that lane. ``besides``: ids to
        pass over. The locks last as long as the transaction, in which this must be called.
        """
        now = self._now()
        passed_over = passing_over(besides)
        earlier = _earlier_than(before)
        return self._claim(
            f"state = 'pending' AND queue = %s AND priority = %s AND due_time >= %s AND due_time <= {now.text}"
            f"{earlier.text}{passed_over.text} ORDER BY due_time, id LIMIT {most:d}",
            [lane.queue, lane.priority, lane.due_time, *now.params, *earlier.params, *passed_over.params],
        )

    def claim_again(self, function_id: int) -> Claimable | None:
        """Lock this function, if it is still pending and due, and nobody else has locked it."""
        now = self._now()
        chosen = f"state = 'pending' AND id = %s AND due_time <= {now.text}"
        return next(iter(self._claim(chosen, [function_id, *now.params])), None)

    def claim_id(self, function_id: int, *, handed_over_within: timedelta, at_most: timedelta) -> Claimable | None:
        """Lock this function if it is pending, its time has come, and nobody else has locked it.

        Its time has come as well if it has been handed over, for it is due again only after ``handed_over_within``, or
        after as long as it was late, but ``at_most`` so much. What is due clearly later, somebody has put off since;
        not by a hair, because with Python's clock that of another host may have decided.
        """
        due_again = self._scheduled_and_due(handed_over_within)[1]
        at_last = self._scheduled_and_due(at_most + handed_over_within)[1]
        due_in, asked_in = self._seconds_until("due_time"), self._seconds_until("scheduled_time")
        claimed = self._claim(
            f"state = 'pending' AND id = %s AND (due_time <= {due_again.text}"
            f" OR due_time <= {at_last.text} AND {due_in.text} + {asked_in.text} <= %s)",
            [
                function_id,
                *due_again.params,
                *at_last.params,
                *due_in.params,
                *asked_in.params,
                2 * handed_over_within.total_seconds(),
            ],
        )
        return next(iter(claimed), None)

    def _claim(self, chosen: str, params: list[Any]) -> list[Claimable]:
        now = self._now()
        due_in = self._seconds_until("due_time")
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, name, kind, {self._text('args')}, attempts, {now.text}, {due_in.text},"
                f" {self.mark_executing}, due_time, trace_context FROM {TABLE} WHERE {chosen} {self.skip_locked}",
                [*now.params, *due_in.params, *params],
            )
            return [
                Claimable(
                    function_id, name, kind, args, attempts, at, max(0.0, -float(due_in_seconds)), due_time, trace
                )
                for function_id, name, kind, args, attempts, at, due_in_seconds, _, due_time, trace in cursor.fetchall()
            ]


def _earlier_than(lane: Lane | None) -> Sql:
    if lane is None:
        return Sql("")
    # The first comparison is what an index understands.
    return Sql(" AND due_time <= %s AND (due_time < %s OR id < %s)", lane.due_time, lane.due_time, lane.first_id)
