"""Lanes: in which queues and priorities something is pending, when it is due, and how much of it there is."""

from collections.abc import Collection, Sequence
from typing import Any, ClassVar

from django_scheduler.databases.alias import Alias
from django_scheduler.databases.rows import Backlog, Lane
from django_scheduler.databases.sql import TABLE, Sql, is_paused, passing_over

#: Databases take only so many parts of a UNION.
LANES_PER_STATEMENT = 100


class Lanes(Alias):
    #: A condition that a row does not meet while a mutation is executing that has locked it, where that can be seen.
    not_executing: ClassVar[str] = "TRUE"

    def lanes(self, *, besides: Collection[int] = ()) -> list[Lane]:
        """Every queue and priority that has pending functions. ``besides``: ids to pass over."""
        with self.connection.cursor() as cursor:
            lanes = self._lanes(passing_over(besides))
            cursor.execute(lanes.text, lanes.params)
            return [
                Lane(queue, priority, float(due_in), due_time, first_id, bool(is_paused))
                for queue, priority, due_in, due_time, first_id, is_paused in cursor.fetchall()
            ]

    def _lanes(self, besides: Sql) -> Sql:
        # From the first entry of one lane the index is entered anew at the first entry of the next one, so the
        # cost grows with the number of lanes and not with that of the pending functions. (A comparison of rows,
        # (queue, priority) > (...), would read the whole lane.)
        first = f"SELECT id FROM {TABLE} WHERE state = 'pending'{besides.text}"
        order = "ORDER BY queue, priority, due_time, id LIMIT 1"
        due_in = self._seconds_until("due_time")
        return Sql(
            f"WITH RECURSIVE lanes (queue, priority, due_time, id) AS ("
            f" SELECT queue, priority, due_time, id FROM {TABLE} WHERE id = ({first} {order})"
            f" UNION ALL"
            f" SELECT head.queue, head.priority, head.due_time, head.id FROM lanes JOIN {TABLE} head ON head.id ="
            f" COALESCE(({first} AND queue = lanes.queue AND priority > lanes.priority {order}),"
            f" ({first} AND queue > lanes.queue {order})))"
            f" SELECT queue, priority, {due_in.text}, due_time, id, {is_paused('lanes')} FROM lanes",
            *besides.params,
            *besides.params,
            *besides.params,
            *due_in.params,
        )

    def look_again(self, lanes: Collection[Lane], *, besides: Collection[int] = ()) -> list[Lane]:
        """Those of the lanes that have pending functions from where they began, and where they begin now.

        Cheaper than ``lanes`` where the index has many entries of functions that have finished since.
        """
        return self.lanes(besides=besides)

    def next_due_in(self, lane: Lane) -> float | None:
        """Seconds until the next function of a lane is due that is not due yet; ``None`` if there is none."""
        now = self._now()
        due_in = self._seconds_until("due_time")
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {due_in.text} FROM {TABLE} WHERE state = 'pending' AND queue = %s AND priority = %s"
                f" AND due_time > {now.text} ORDER BY due_time LIMIT 1",
                [*due_in.params, lane.queue, lane.priority, *now.params],
            )
            row = cursor.fetchone()
        return None if row is None else float(row[0])

    def backlog(self, lane: Lane, *, besides: Collection[int] = (), count_to: int) -> Backlog:
        """What waits in a lane, in one statement that locks nothing.

        ``besides``: ids that are known to be executing. ``count_to``: where to stop counting.
        """
        return self.backlogs([lane], besides=besides, count_to=count_to)[0]

    def backlogs(self, lanes: Sequence[Lane], *, besides: Collection[int] = (), count_to: int) -> list[Backlog]:
        """``backlog`` of each lane, a hundred of them in a statement."""
        if len(lanes) > LANES_PER_STATEMENT:
            first, others = lanes[:LANES_PER_STATEMENT], lanes[LANES_PER_STATEMENT:]
            return [
                backlog
                for part in (first, others)
                for backlog in self.backlogs(part, besides=besides, count_to=count_to)
            ]
        each = [self._backlog(number, lane, passing_over(besides), count_to) for number, lane in enumerate(lanes)]
        if not each:
            return []
        with self.connection.cursor() as cursor:
            statement = " UNION ALL ".join(sql.text for sql in each)
            cursor.execute(statement, [param for sql in each for param in sql.params])
            return [
                Backlog(pending, due, max(0.0, -float(due_in or 0.0)))
                for _, pending, due, due_in in sorted(cursor.fetchall(), key=lambda row: int(row[0]))
            ]

    def _backlog(self, number: int, lane: Lane, passed_over: Sql, count_to: int) -> Sql:
        now = self._now()
        due_in = self._seconds_until("due_time")
        rows = f"FROM {TABLE} WHERE state = 'pending' AND queue = %s AND priority = %s"
        in_lane: list[Any] = [lane.queue, lane.priority]
        return Sql(
            f"SELECT {number:d}, (SELECT COUNT(*) FROM (SELECT 1 AS one {rows} LIMIT {count_to}) pending),"
            f" (SELECT COUNT(*) FROM (SELECT 1 AS one {rows} AND due_time <= {now.text} LIMIT {count_to}) due),"
            f" (SELECT {due_in.text} {rows} AND due_time <= {now.text} AND {self.not_executing}{passed_over.text}"
            " ORDER BY due_time, id LIMIT 1)",
            *in_lane,
            *in_lane,
            *now.params,
            *due_in.params,
            *in_lane,
            *now.params,
            *passed_over.params,
        )
