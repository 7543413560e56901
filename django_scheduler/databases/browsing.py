"""Browsing asks what people look at: the pages of the admin, ``scheduler_status`` and the metrics.

Each of these is one or two bounded queries, whatever the number of functions, and locks nothing.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from django_scheduler.databases.claiming import ORDER_OF_PENDING
from django_scheduler.databases.queries import Database
from django_scheduler.databases.rows import TABLE, Backlog, Lane
from django_scheduler.databases.sql import Sql
from django_scheduler.models import State

#: Databases take only so many parts of a UNION.
LANES_PER_STATEMENT = 100

#: For so many tenants of a queue and a priority it is asked one by one what waits.
FEW_TENANTS = 10


def count_states(database: Database, states: Collection[str], *, at_most: int) -> tuple[dict[str, int], int]:
    """Return how many functions are in each state, and how many wait for a limit, in one statement.

    ``at_most``: where to stop counting each of them.
    """
    # Ordered, so that an index is read and not the table.
    counts = ", ".join(
        f"(SELECT COUNT(*) FROM (SELECT 1 FROM {TABLE} WHERE state = '{State(state).value}'"
        f"{_in_order(State(state))} LIMIT {at_most:d}) AS counted_{number})"
        for number, state in enumerate(states)
    )
    with database.connection.cursor() as cursor:
        cursor.execute(f"SELECT {_count_limited(database, at_most)}, {counts}")
        limited, *numbers = cursor.fetchone()
        return dict(zip(states, numbers, strict=True)), limited


def _count_limited(database: Database, at_most: int) -> str:
    """Return the SQL of how many functions wait for a limit."""
    return (
        f"(SELECT COUNT(*) FROM (SELECT 1 AS one FROM {TABLE} WHERE due_time = {database.far}"
        f" AND waits_for IS NOT NULL ORDER BY waits_for LIMIT {at_most:d}) AS limited)"
    )


def _in_order(state: State) -> str:
    if state is State.PENDING:
        return f" ORDER BY {ORDER_OF_PENDING}"
    if state is State.IN_PROGRESS:
        return " ORDER BY executor"
    return " AND completed_time IS NOT NULL ORDER BY completed_time DESC"


def first_pending(
    database: Database,
    lanes: Collection[Lane],
    *,
    after: tuple[datetime, int] | None,
    due_only: bool = False,
    waiting_only: bool = False,
    limit: int,
) -> list[int]:
    """Return the ids of the pending functions that are due first, in all of these lanes together.

    ``after``: the due time and the id of the one to begin behind. ``due_only``: only what is due already.
    ``waiting_only``: only what waits for a limit, which is due last.
    """
    if not lanes:
        return []
    conditions: list[Sql] = []
    if after is not None:
        time = database.adapted(after[0])
        conditions.append(Sql(" AND due_time >= %s AND (due_time > %s OR id > %s)", time, time, after[1]))
    if due_only:
        now = database.now()
        conditions.append(Sql(f" AND due_time <= {now.sql}", *now.params))
    if waiting_only:
        conditions.append(Sql(f" AND due_time = {database.far} AND waits_for IS NOT NULL"))
    condition = "".join(each.text for each in conditions)
    values = [param for each in conditions for param in each.params]
    # Each lane is in order already. One SELECT over all of them would sort everything that is pending.
    heads = " UNION ALL ".join(
        f"SELECT id, due_time FROM (SELECT id, due_time FROM {TABLE} WHERE state = 'pending' AND queue = %s"
        f" AND priority = %s AND tenant = %s{condition} ORDER BY due_time, id LIMIT {limit:d}) AS lane_{number}"
        for number in range(len(lanes))
    )
    params = [param for lane in lanes for param in (*lane.key, *values)]
    with database.connection.cursor() as cursor:
        cursor.execute(f"SELECT id FROM ({heads}) AS heads ORDER BY due_time, id LIMIT {limit:d}", params)
        return [row[0] for row in cursor.fetchall()]


def backlogs(database: Database, lanes: Sequence[Lane], *, count_to: int) -> list[tuple[str, Backlog]]:
    """Return what waits in each lane, with its queue, a hundred lanes in a statement that locks nothing.

    ``count_to``: where to stop counting. The lanes of many tenants, of one queue and priority, are taken together.
    """
    by_priority: dict[tuple[str, int], list[Lane]] = {}
    for lane in lanes:
        by_priority.setdefault((lane.queue, lane.priority), []).append(lane)
    of_few = [lane for each in by_priority.values() if len(each) <= FEW_TENANTS for lane in each]
    found = list(zip((lane.queue for lane in of_few), _backlogs(database, of_few, count_to), strict=True))
    for (queue, _), each in by_priority.items():
        if len(each) > FEW_TENANTS:
            found.append((queue, _backlog_of_tenants(database, each, count_to)))
    return found


def _backlog_of_tenants(database: Database, lanes: Sequence[Lane], count_to: int) -> Backlog:
    """Return what waits in all these lanes of one queue and priority.

    How long the first has been due that nobody is executing is looked for in the lanes of those that are due first.
    """
    by_due_time = sorted(lanes, key=lambda lane: lane.due_in)
    first, others = by_due_time[:FEW_TENANTS], by_due_time[FEW_TENANTS:]
    lags = [backlog.lag for backlog in _backlogs(database, first, count_to)]
    now = database.now()
    queue, priority, _ = lanes[0].key
    rows = f"FROM {TABLE} WHERE state = 'pending' AND queue = %s AND priority = %s"
    with database.connection.cursor() as cursor:
        cursor.execute(
            f"SELECT (SELECT COUNT(*) FROM (SELECT 1 AS one {rows} LIMIT {count_to}) pending),"
            f" (SELECT COUNT(*) FROM (SELECT 1 AS one {rows} AND due_time <= {now.sql} LIMIT {count_to}) due),"
            f" EXISTS (SELECT 1 {rows} AND unknown_since IS NOT NULL)",
            [queue, priority, queue, priority, *now.params, queue, priority],
        )
        pending, due, has_unknown = cursor.fetchone()
    return Backlog(pending, due, max(*lags, -others[0].due_in, 0.0), bool(has_unknown))


def _backlogs(database: Database, lanes: Sequence[Lane], count_to: int) -> list[Backlog]:
    if len(lanes) > LANES_PER_STATEMENT:
        first, others = lanes[:LANES_PER_STATEMENT], lanes[LANES_PER_STATEMENT:]
        return _backlogs(database, first, count_to) + _backlogs(database, others, count_to)
    each = [_backlog(database, number, lane, count_to) for number, lane in enumerate(lanes)]
    if not each:
        return []
    with database.connection.cursor() as cursor:
        statement = " UNION ALL ".join(sql.text for sql in each)
        cursor.execute(statement, [param for sql in each for param in sql.params])
        return [
            Backlog(pending, due, max(0.0, -float(due_in or 0.0)), bool(has_unknown))
            for _, pending, due, due_in, has_unknown in sorted(cursor.fetchall(), key=lambda row: int(row[0]))
        ]


def _backlog(database: Database, number: int, lane: Lane, count_to: int) -> Sql:
    now = database.now()
    due_in = database.seconds_until("due_time")
    rows = f"FROM {TABLE} WHERE state = 'pending' AND queue = %s AND priority = %s AND tenant = %s"
    in_lane = lane.key
    return Sql(
        f"SELECT {number:d}, (SELECT COUNT(*) FROM (SELECT 1 AS one {rows} LIMIT {count_to}) pending),"
        f" (SELECT COUNT(*) FROM (SELECT 1 AS one {rows} AND due_time <= {now.sql} LIMIT {count_to}) due),"
        f" (SELECT {due_in.text} {rows} AND due_time <= {now.sql} AND {database.not_executing}"
        f" ORDER BY due_time, id LIMIT 1), EXISTS (SELECT 1 {rows} AND unknown_since IS NOT NULL)",
        *in_lane,
        *in_lane,
        *now.params,
        *due_in.params,
        *in_lane,
        *now.params,
        *in_lane,
    )


class WaitCounts(NamedTuple):
    """Says how many of the pending functions wait under a key, for another attempt, or for a limit."""

    looked_at: int
    keyed: int
    repeated: int
    #: The one whose next attempt is due first.
    next_repeated: int | None
    #: For a limit; counted apart from the others.
    limited: int = 0


def count_waits(database: Database, *, at_most: int) -> WaitCounts:
    """Return how many of the pending functions wait under a key, for another attempt, and for a limit.

    ``at_most``: among how many of them; those for a limit are counted no further. A function that has begun holds no
    key any more.
    """
    # Where no index has only what is pending, the order would sort all of it first.
    order = _in_order(State.PENDING) if database.connection.features.supports_partial_indexes else ""
    rows = f"SELECT id, call_key, attempts, due_time FROM {TABLE} WHERE state = 'pending'{order} LIMIT {at_most:d}"
    is_repeated = f"attempts > 0 AND due_time < {database.far}"
    with database.connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*), COUNT(CASE WHEN call_key IS NOT NULL AND attempts = 0 THEN 1 END),"
            f" COUNT(CASE WHEN {is_repeated} THEN 1 END), {_count_limited(database, at_most)}"
            f" FROM ({rows}) AS looked_at"
        )
        looked_at, keyed, repeated, limited = cursor.fetchone()
        if not repeated:
            return WaitCounts(looked_at, keyed, repeated, None, limited)
        cursor.execute(f"SELECT id FROM ({rows}) AS looked_at WHERE {is_repeated} ORDER BY due_time, id LIMIT 1")
        found = cursor.fetchone()
        return WaitCounts(looked_at, keyed, repeated, found[0] if found else None, limited)
