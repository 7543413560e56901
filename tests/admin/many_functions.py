"""A million functions, or so many as a test has time for, in PostgreSQL; and what its plans say of a page's queries."""

import re
from collections.abc import Iterable

from django.db import connection

from django_scheduler.models import FAR

TABLE = "django_scheduler_scheduledfunction"

# Nine of ten have finished, over seven days; the others are pending, over the next thirty. One in fifty has failed.
LOAD = f"""
    INSERT INTO {TABLE} (name, kind, args, state, queue, priority, scheduled_time, due_time, creation_time,
        started_time, completed_time, attempts, result, failure, error, traceback, parent_id, executor)
    SELECT 'shop:function_' || n %% 20, CASE n %% 3 WHEN 0 THEN 'action' ELSE 'mutation' END,
        jsonb_build_object('order_id', n, 'customer', 'customer' || n %% 1000 || '@shop.example'),
        state, CASE n %% 4 WHEN 0 THEN 'email' ELSE 'default' END, 0, due, due, due - interval '10 s',
        CASE WHEN state IN ('success', 'failed') THEN due + interval '5 ms' END,
        CASE WHEN state <> 'pending' THEN due + interval '25 ms' END,
        CASE state WHEN 'pending' THEN 0 ELSE 1 END, 'null', CASE state WHEN 'failed' THEN 'error' ELSE '' END,
        CASE state WHEN 'failed' THEN (ARRAY['ValueError', 'KeyError', 'Timeout'])[1 + n %% 3] || ': ' || n ELSE '' END,
        '', CASE WHEN n %% 5 = 0 THEN n / 2 END, ''
    FROM (
        SELECT n,
            CASE WHEN n > %(finished)s THEN 'pending' WHEN n %% 50 = 0 THEN 'failed' WHEN n %% 333 = 0 THEN 'canceled'
                ELSE 'success' END AS state,
            CASE WHEN n > %(finished)s
                THEN now() + interval '30 days' * (n - %(finished)s - 20) / (%(rows)s - %(finished)s)
                ELSE now() - interval '7 days' * (%(finished)s - n) / %(finished)s END AS due
        FROM generate_series(1, %(rows)s) AS n
    ) AS functions
"""

PAGES = {
    "list": "scheduledfunction/",
    "list, pending": "scheduledfunction/?state=pending",
    "list, overdue": "scheduledfunction/?state=overdue",
    "list, in progress": "scheduledfunction/?state=in_progress",
    "list, success": "scheduledfunction/?state=success",
    "list, failed": "scheduledfunction/?state=failed",
    "list, canceled": "scheduledfunction/?state=canceled",
    "list, function": "scheduledfunction/?function=shop%3Afunction_7",
    "list, failed function": "scheduledfunction/?state=failed&function=shop%3Afunction_10",
    "list, pending function": "scheduledfunction/?state=pending&function=shop%3Afunction_7",
    "list, no such function": "scheduledfunction/?function=shop%3Anone",
    "list, queue": "scheduledfunction/?queue=email",
    "list, pending queue": "scheduledfunction/?state=pending&queue=email",
    "list, kind and success": "scheduledfunction/?kind=action&state=success",
    "list, failure": "scheduledfunction/?failure=error",
    "list, failure and exception": "scheduledfunction/?state=failed&error=KeyError",
    "list, scheduled within the hour": "scheduledfunction/?created=1h",
    "list, finished within the hour": "scheduledfunction/?finished=1h",
    "list, scheduled by a function": "scheduledfunction/?by=function",
    "list, children": "scheduledfunction/?parent=400000",
    "search, id": "scheduledfunction/?q=500000",
    "search, argument": "scheduledfunction/?q=order_id%3D890000",
    "search, argument of nobody": "scheduledfunction/?q=order_id%3D-1",
    "search, text": "scheduledfunction/?q=customer7%40shop",
    "search, text of nobody": "scheduledfunction/?q=nothing+like+this",
    "detail": "scheduledfunction/500000/change/",
    "overview": "overview/",
    "batches, open": "overview/batches/",
    "batches, all": "overview/batches/?all=1",
    "list, batch": "scheduledfunction/?batch=1",
    "limits": "overview/limits/",
    "limits, one": "overview/limits/?limit=shop%3Afunction_1",
    "list, waits for a limit": "scheduledfunction/?state=limited",
    "list, limit": "scheduledfunction/?limit=shop%3Afunction_1",
    "limits, one rate limit": "overview/limits/?limit=bank+rate+%5B1%5D",
    "list, rate limit": "scheduledfunction/?limit=bank+rate+%5B1%5D",
}


# One in ten of those that are pending waits for one of twenty limits.
WAIT = f"""
    UPDATE {TABLE} SET waits_for = name, waiting_since = now() - interval '1 s' * (id %% 1000),
        due_time = timestamptz '{FAR.isoformat()}' WHERE state = 'pending' AND id %% 10 = 1
"""

SLOTS = """
    INSERT INTO django_scheduler_slot (of_limit, number, taken, executor)
    SELECT 'bank [' || n || ']', 0, 0, '' FROM generate_series(1, %(slots)s) AS n
"""

# Of a rate limit, those that were taken within the last hundred seconds.
STARTS = """
    INSERT INTO django_scheduler_slot (of_limit, number, taken, executor, taken_time)
    SELECT 'bank rate [' || n %% 5 || ']', n, 1, '', now() - interval '100 s' * n / %(slots)s
    FROM generate_series(1, %(slots)s) AS n
"""


def load(rows: int) -> None:
    """Fill the table, and let the planner know."""
    with connection.cursor() as cursor:
        cursor.execute(LOAD, {"rows": rows, "finished": rows * 9 // 10})
        cursor.execute(WAIT, [])
        cursor.execute(SLOTS, {"slots": rows // 100})
        cursor.execute(STARTS, {"slots": rows // 100})
        # As autovacuum does, which cannot be asked to within a transaction.
        cursor.execute(f"{'ANALYZE' if connection.in_atomic_block else 'VACUUM ANALYZE'} {TABLE}")


def scans_of_the_table(statements: Iterable[str]) -> list[str]:
    """The statements whose plan reads the whole table."""
    found = []
    with connection.cursor() as cursor:
        for statement in statements:
            if TABLE in statement and re.match(r"\s*(SELECT|WITH)", statement):
                cursor.execute("EXPLAIN " + statement.replace("%", "%%"), [])
                plan = "\n".join(row[0] for row in cursor.fetchall())
                if f"Seq Scan on {TABLE}" in plan:
                    found.append(f"{statement}\n{plan}")
    return found
