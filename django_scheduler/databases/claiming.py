"""Executors find here which lanes are due, claim functions there, and see what has become of their transaction.

Lane means the pending functions of one queue, one priority and one tenant (``tenants.py``). A look finds the lanes and
when each is due; a claim locks the first due rows of a lane and passes over those that are locked.
"""

from collections.abc import Collection, Sequence
from typing import Any, ClassVar

from django_scheduler.databases import django_internals
from django_scheduler.databases.rows import TABLE, Claimable, DriverTime, Lane, Left, Wanted
from django_scheduler.databases.sql import Sql, SqlDatabase
from django_scheduler.models import Pause, State

PAUSES = Pause._meta.db_table

#: The columns of the index of what is pending, where it has nothing else.
ORDER_OF_PENDING = "queue, priority, tenant, due_time, id"

#: Where the times are in what a claim reads.
TIMES_OF_CLAIM = [
    Claimable._fields.index(name)
    for name in ("claim_time", "due_time", "unknown_since", "expires_time", "creation_time")
]


def is_paused(queue: str) -> str:
    """Return the SQL that says whether a queue is paused."""
    return f"EXISTS (SELECT 1 FROM {PAUSES} pause WHERE pause.queue IN ('', {queue}))"


def passing_over(ids: Collection[int]) -> Sql:
    """Return a condition that none of these functions meets."""
    return Sql(f" AND id NOT IN ({', '.join(['%s'] * len(ids))})" if ids else "", *ids)


class Claiming(SqlDatabase):
    """Finds lanes, and claims functions there."""

    #: What a claim selects besides, to let a cancel know that this transaction executes a function.
    mark_executing: ClassVar[str] = "NULL"
    #: A condition that a row does not meet while a mutation is executing that has locked it, where that can be seen.
    not_executing: ClassVar[str] = "TRUE"
    #: A condition that only what comes before a function meets. The first comparison is what an index understands.
    earlier: ClassVar[str] = " AND due_time <= %s AND (due_time < %s OR id < %s)"

    # Looking

    def lanes(
        self, *, besides: Collection[int] = (), left: Left | None = None, since: DriverTime | None = None
    ) -> list[Lane]:
        """Return every queue, priority and tenant that has pending functions.

        ``besides``: ids to pass over. ``left``: what to pass over as well. ``since``: only what is due then or later.
        """
        over = self._passing_over(besides, left)
        if since is not None:
            over = Sql(f"{over.text} AND due_time >= %s", *over.params, since)
        return self._read_lanes(self._lanes(over))

    def _read_lanes(self, sql: Sql) -> list[Lane]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql.text, sql.params)
            return [
                Lane(queue, priority, tenant, float(due_in), self._as_taken(due_time), first_id, bool(is_paused))
                for queue, priority, tenant, due_in, due_time, first_id, is_paused in cursor.fetchall()
            ]

    def _lanes(self, besides: Sql) -> Sql:
        # From the first entry of one lane the index is entered anew at the first entry of the next one, so the
        # cost grows with the number of lanes and not with that of the pending functions. (A comparison of rows,
        # (queue, priority) > (...), would read the whole lane.)
        first = f"SELECT id FROM {TABLE} WHERE state = 'pending'{besides.text}"
        order = f"ORDER BY {ORDER_OF_PENDING} LIMIT 1"
        due_in = self.seconds_until("due_time")
        return Sql(
            f"WITH RECURSIVE lanes ({ORDER_OF_PENDING}) AS ("
            f" SELECT {ORDER_OF_PENDING} FROM {TABLE} WHERE id = ({first} {order})"
            f" UNION ALL"
            f" SELECT head.queue, head.priority, head.tenant, head.due_time, head.id FROM lanes JOIN {TABLE} head"
            f" ON head.id = COALESCE("
            f"({first} AND queue = lanes.queue AND priority = lanes.priority AND tenant > lanes.tenant {order}),"
            f" ({first} AND queue = lanes.queue AND priority > lanes.priority {order}),"
            f" ({first} AND queue > lanes.queue {order})))"
            f" SELECT queue, priority, tenant, {due_in.text}, {self._time('due_time')}, id, {is_paused('lanes.queue')}"
            " FROM lanes",
            *besides.params,
            *besides.params,
            *besides.params,
            *besides.params,
            *due_in.params,
        )

    def look_again(
        self, lanes: Collection[Lane], *, besides: Collection[int] = (), left: Left | None = None
    ) -> list[Lane]:
        """Return those of the lanes that have pending functions from where they began, and where they begin now.

        Cheaper than ``lanes`` where the index has many entries of functions that have ended since. This default looks
        at all lanes.
        """
        return self.lanes(besides=besides, left=left)

    def next_due_in(self, lane: Lane) -> float | None:
        """Return in how many seconds the next function of a lane is due that is not due yet, or ``None``."""
        now = self._now()
        due_in = self.seconds_until("due_time")
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {due_in.text} FROM {TABLE} WHERE state = 'pending' AND queue = %s AND priority = %s"
                f" AND tenant = %s AND due_time > {now.text} ORDER BY due_time LIMIT 1",
                [*due_in.params, *lane.key, *now.params],
            )
            row = cursor.fetchone()
        return None if row is None else float(row[0])

    # Claiming

    def claim(self, lane: Lane, wanted: Wanted, *, most: int) -> list[Claimable]:
        if lane.due_time is None or lane.only_first:
            claimed = self._claim_first(lane, wanted)
            if claimed is not None:
                return claimed
        if lane.due_time is None:
            chosen = self._pending(lane.first_id)
        else:
            of_lane = "state = 'pending' AND queue = %s AND priority = %s AND tenant = %s AND due_time >= %s"
            chosen = Sql(of_lane, lane.queue, lane.priority, lane.tenant, lane.due_time)
        conditions = [chosen, *self._conditions(wanted), Sql(f" AND NOT {is_paused('%s')}", lane.queue)]
        source = Sql(
            f"{TABLE} WHERE {''.join(each.text for each in conditions)} ORDER BY due_time, id LIMIT {most:d}"
            f" {self.skip_locked}",
            *(param for each in conditions for param in each.params),
        )
        return self._claim(self._locking(source))

    def _claim_first(self, lane: Lane, wanted: Wanted) -> list[Claimable] | None:
        """Claim the first function of a lane as ``claim`` does, where that is quicker. ``None``: it is not."""
        return None

    def _conditions(self, wanted: Wanted) -> list[Sql]:
        now = self._now()
        return [
            Sql(f" AND due_time <= {now.text}", *now.params),
            self._earlier_than(wanted.before),
            self._passing_over(wanted.besides, wanted.left),
            _healthy(wanted.unhealthy),
        ]

    def _earlier_than(self, lane: Lane | None) -> Sql:
        return Sql("") if lane is None else Sql(self.earlier, lane.due_time, lane.due_time, lane.first_id)

    def claim_again(self, function_id: int) -> Claimable | None:
        """Lock this function, if it is still pending and due, and nobody else has locked it."""
        now = self._now()
        return self._claim_by_id(function_id, Sql(f"due_time <= {now.text}", *now.params))

    def claim_handed_over(self, function_id: int) -> Claimable | None:
        """Lock this function as ``claim_again`` does, also before it is due again if it has been handed over."""
        now = self._now()
        return self._claim_by_id(function_id, Sql(f"(due_time <= {now.text} OR handed_over)", *now.params))

    def claim_put_aside(self, function_id: int) -> Claimable | None:
        """Lock this function as ``claim_again`` does, although it is due a moment later, if it was put aside for that.

        By this executor, so that it has time to begin it: see ``executor/rates.py``.
        """
        return self._claim_by_id(function_id, Sql(f"waits_for IS NOT NULL AND due_time < {self.far}"))

    def _claim_by_id(self, function_id: int, condition: Sql) -> Claimable | None:
        chosen = self._pending(function_id)
        text = f"{TABLE} WHERE {chosen.text} AND {condition.text} {self.skip_locked}"
        return next(iter(self._claim(self._locking(Sql(text, *chosen.params, *condition.params)))), None)

    def _pending(self, function_id: int) -> Sql:
        """Return a condition that only this function meets, while it is pending."""
        return Sql(f"id = %s AND {self._condition('state')}", function_id, State.PENDING.value)

    def _passing_over(self, ids: Collection[int], left: Left | None) -> Sql:
        """Return a condition that none of these functions meets, and none that is left to others."""
        executing = passing_over(ids)
        if left is None:
            return executing
        over = self._scheduled_and_due(-left.grace)[0]
        return Sql(
            f"{executing.text} AND (unknown_since IS NULL OR unknown_since <= {over.text} OR unknown_to NOT LIKE %s)",
            *executing.params,
            *over.params,
            f"%{left.code}%",
        )

    def _locking(self, source: Sql, columns: str = "") -> Sql:
        """Return the statement that reads what a claim has to know of the rows of a source, which locks them."""
        now = self._now()
        until_due = self.seconds_until("due_time")
        return Sql(
            f"SELECT id, name, kind, queue, {self._text('args')}, {self._text('context')}, attempts,"
            f" {self._time(now.text)}, {until_due.text}, {self._time('due_time')}, {self._time('unknown_since')},"
            f" unknown_to, error, same_errors, {self._time('expires_time')}, {self._text('callbacks')},"
            f" batch_id, absorbed, {self._time('creation_time')}, tenant, {self.mark_executing}{columns}"
            f" FROM {source.text}",
            *now.params,
            *until_due.params,
            *source.params,
        )

    def _claim(self, claim: Sql) -> list[Claimable]:
        with self.connection.cursor() as cursor:
            cursor.execute(claim.text, claim.params)
            return list(map(self._claimable, cursor.fetchall()))

    def _claimable(self, row: Sequence[Any]) -> Claimable:
        *values, _mark_executing = row
        for column in TIMES_OF_CLAIM:
            if values[column] is not None:
                values[column] = self._as_taken(values[column])
        return Claimable(*values)

    # The transaction in which mutations execute

    def is_transaction_open(self) -> bool:
        return django_internals.is_in_atomic_block(self.connection)

    def is_transaction_intact(self) -> bool:
        """Return whether the transaction is open, and no error has broken it."""
        return self.is_transaction_open() and not django_internals.is_marked_for_rollback(self.connection)

    def mark_transaction(self) -> None:
        return None

    def is_transaction_marked(self) -> bool:
        return True

    def session(self) -> Any:
        return django_internals.driver_of(self.connection)

    def _finds_elsewhere(self, sql: str, *params: Any) -> bool:
        """Return whether there is such a row, on another connection: this thread's is busy."""
        connection = self.new_connection()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, params)
                return cursor.fetchone() is not None
        finally:
            connection.close()


def _healthy(unhealthy: Collection[str] | None) -> Sql:
    """Return a condition that only first attempts meet, and none of functions of these names; ``None``: all do."""
    if unhealthy is None:
        return Sql("")
    names = f" AND name NOT IN ({', '.join(['%s'] * len(unhealthy))})" if unhealthy else ""
    return Sql(f" AND attempts = 0{names}", *unhealthy)
