"""PostgreSQL enters the index once for each of several lanes in one statement: in a look, and in a claim.

The lanes are rows of a function. For each of them, in their order, a subquery reads from where the lane began. It
refers to the lane, so that no other plan exists; and a LIMIT around it ends the loop, so no lane is entered after that.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from django_scheduler.databases.rows import TABLE, Lane
from django_scheduler.databases.sql import Sql, parsed

MICROSECOND = timedelta(microseconds=1)


def in_each(lanes: Sequence[Lane], columns: str, rest: Sql) -> Sql:
    """Return the source of these columns of what is pending in the lanes. ``rest``: what follows in the subquery."""
    times = [parsed(lane.due_time) for lane in lanes if lane.due_time is not None]
    assert len(times) == len(lanes), "only lanes that were looked at are asked for together"
    began = times[0]
    return Sql(
        # One text for each column, as in ``bulk.py``.
        "unnest(%s::text[], %s::int[], %s::text[], %s::bigint[]) AS lane (of_queue, of_priority, of_tenant, later)"
        f" CROSS JOIN LATERAL (SELECT {columns} FROM {TABLE} WHERE state = 'pending'"
        " AND queue = lane.of_queue AND priority = lane.of_priority AND tenant = lane.of_tenant"
        f" AND due_time >= %s::timestamptz + lane.later * INTERVAL '1 microsecond'{rest.text}) AS own",
        array(quoted(lane.queue) for lane in lanes),
        array(lane.priority for lane in lanes),
        array(quoted(lane.tenant) for lane in lanes),
        array((time - began) // MICROSECOND for time in times),
        began,
        *rest.params,
    )


def array(values: Iterable[int | str]) -> str:
    """Return an array in one text: to quote a list, the driver adapts each element."""
    return f"{{{','.join(map(str, values))}}}"


def quoted(text: str) -> str:
    """Return a text as an element of such an array."""
    escaped = text.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'
