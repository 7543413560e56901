"""People look at what waits for a limit, and at which slots are in use: bounded queries, as those of ``browsing.py``.

A function waits if it names a limit and its due time is ``FAR``: an index has exactly these. What has been let in has
its due time again, and is simply pending, although it still names the limit.

A slot is held by an action as long as its body may be running (``IS_TAKEN``), and by a mutation as long as the row is
locked. PostgreSQL shows the latter without a lock. MySQL and MariaDB pass over such rows in a locking read, whose own
locks end with its statement, so they are not asked within a transaction. SQLite has no such locks. Nobody holds a slot
of a rate limit: each start has one for a while.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet

from django_scheduler.databases import django_internals
from django_scheduler.databases.queries import Database
from django_scheduler.databases.rows import SLOTS, TABLE
from django_scheduler.databases.slots import IS_TAKEN
from django_scheduler.databases.sql import Sql, placeholders
from django_scheduler.models import FAR, RATE, ScheduledFunction, Slot, State

#: Which functions wait for a limit.
WAITS = Q(state=State.PENDING, waits_for__isnull=False, due_time=FAR)

#: Counting held slots ends here.
MOST_HELD = 5_000

#: Of the action that holds a slot.
_COLUMNS = ("name", "kind", "state", "failure", "started_time")


class WaitingCount(NamedTuple):
    """Says how many functions wait for a limit, and for how long the first of them has waited, in seconds."""

    number: int
    oldest: float


class Window(NamedTuple):
    """Says how many bodies begin within the period of a rate limit, and for how long a start has its slot."""

    size: int
    length: timedelta


class Starts(NamedTuple):
    """Says how many slots of a rate limit are in use, and in how many seconds one is free."""

    number: int
    #: ``None``: one is free now, or the limit is 0.
    free_in: float | None


class HeldSlots(NamedTuple):
    """Says how many slots of each limit actions hold, and has the first ones of each, with what names these."""

    numbers: Counter[str]
    first: list[Slot]


def waits(function: ScheduledFunction) -> bool:
    """Return whether a function waits for a limit."""
    return function.state == State.PENDING and function.waits_for is not None and function.due_time >= FAR


def due_time_of(function: ScheduledFunction) -> datetime:
    """Return when a function is due: for one that waits for a limit, when it was, before it waited."""
    return function.waiting_since or function.due_time if waits(function) else function.due_time


def limits_with_slots(database: Database, *, after: str, at_most: int) -> dict[str, bool]:
    """Return limits that have slots, and whether functions wait for each, in the order of the database, behind one."""
    is_waited_for = f"EXISTS (SELECT 1 FROM {TABLE} WHERE due_time = {database.far} AND waits_for = found.of_limit)"
    slots = f"FROM {SLOTS} WHERE of_limit"
    if database.finds_next_values:  # each limit has up to some thousand slots
        first = "ORDER BY of_limit LIMIT 1"
        found = (
            f"WITH RECURSIVE found (of_limit, number) AS (SELECT (SELECT of_limit {slots} > %s {first}), 1"
            f" UNION ALL SELECT (SELECT of_limit {slots} > found.of_limit {first}), found.number + 1"
            f" FROM found WHERE found.of_limit IS NOT NULL AND found.number < {at_most:d})"
        )
    else:  # there, DISTINCT looks up each value in the index
        found = f"WITH found AS (SELECT DISTINCT of_limit {slots} > %s ORDER BY of_limit LIMIT {at_most:d})"
    with database.connection.cursor() as cursor:
        cursor.execute(
            f"{found} SELECT of_limit, {is_waited_for} FROM found WHERE of_limit IS NOT NULL ORDER BY of_limit",
            [after],
        )
        return {limit: bool(is_waited_for) for limit, is_waited_for in cursor.fetchall()}


def count_waiting(database: Database, limits: Sequence[str], *, count_to: int) -> dict[str, WaitingCount]:
    """Return what waits for each of these limits, of which there are few, counted no further than that."""
    if not limits:
        return {}
    waited = database.seconds_until("MIN(waiting.waiting_since)")
    parts, params = [], list[Any]()
    for number, limit in enumerate(limits):
        parts.append(
            f"SELECT {number:d}, COUNT(*), {waited.text} FROM (SELECT waiting_since FROM {TABLE}"
            f" WHERE due_time = {database.far} AND waits_for = %s ORDER BY waiting_since, id LIMIT {count_to:d})"
            " AS waiting"
        )
        params += [*waited.params, limit]
    with database.connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), params)
        return {
            limits[int(number)]: WaitingCount(count, _age(until)) for number, count, until in cursor.fetchall() if count
        }


def count_before(database: Database, function: ScheduledFunction, *, count_to: int) -> int:
    """Return how many pending functions come before it in the order of its limit, counted no further than that.

    They wait too, or have been let in, or the limit keeps the order of due times and they have not begun.
    """
    return _before(database, function)[:count_to].count()


def first_before(database: Database, function: ScheduledFunction) -> ScheduledFunction | None:
    """Return the first of the functions that come before it in the order of its limit."""
    columns = "name", "state", "queue", "unknown_since", "waits_for", "due_time"
    return _before(database, function).only(*columns).first()


def _before(database: Database, function: ScheduledFunction) -> QuerySet[ScheduledFunction]:
    since = function.waiting_since
    earlier = Q(waiting_since__lt=since) | Q(waiting_since=since, pk__lt=function.pk)
    keeps_order = function.in_order_of == function.waits_for
    same = {"in_order_of" if keeps_order else "waits_for": function.waits_for}
    rows = ScheduledFunction.objects.using(database.using).filter(earlier, **same)
    return rows.filter(waiting_since__lte=since).order_by("waiting_since", "pk")


def held_slots(database: Database, limits: Collection[str], *, of_each: int) -> HeldSlots:
    """Return how many slots of these limits actions hold, and the first ones of each."""
    if not limits:
        return HeldSlots(Counter(), [])
    with database.connection.cursor() as cursor:
        cursor.execute(
            f"SELECT slot.id, slot.of_limit FROM {SLOTS} slot WHERE slot.of_limit IN ({placeholders(limits)})"
            f" AND {IS_TAKEN} ORDER BY slot.of_limit, slot.number LIMIT {MOST_HELD:d}",
            [*limits],
        )
        numbers, first = Counter[str](), list[int]()
        for slot_id, limit in cursor.fetchall():
            numbers[limit] += 1
            if numbers[limit] <= of_each:
                first.append(slot_id)
    rows = Slot.objects.using(database.using).filter(pk__in=first).order_by("limit", "number")
    columns = "limit", "number", "attempt", "executor", *(f"function__{column}" for column in _COLUMNS)
    return HeldSlots(numbers, list(rows.select_related("function").only(*columns)) if first else [])


def count_locked(database: Database, limits: Sequence[str]) -> Counter[str] | None:
    """Return how many slots of each limit executing mutations hold; ``None``: the database does not tell."""
    if not limits:
        return Counter()
    features = database.connection.features
    of_limits = f"FROM {SLOTS} WHERE of_limit IN ({placeholders(limits)})"
    with database.connection.cursor() as cursor:
        if _shows_locks(database):
            cursor.execute(f"SELECT of_limit {of_limits} AND NOT ({database.not_executing})", limits)
            return Counter(limit for (limit,) in cursor.fetchall())
        is_in_transaction = django_internals.is_in_atomic_block(database.connection)
        if is_in_transaction or not features.has_select_for_update_skip_locked:
            return None
        cursor.execute(f"SELECT of_limit {of_limits}", limits)
        numbers = Counter(limit for (limit,) in cursor.fetchall())
        cursor.execute(f"SELECT of_limit {of_limits} FOR UPDATE SKIP LOCKED", limits)
        return numbers - Counter(limit for (limit,) in cursor.fetchall())


def count_starts(database: Database, rate_limits: Mapping[str, Window]) -> dict[str, Starts]:
    """Return how many slots of each of these rate limits are in use, of which there are few."""
    taken_in, parts, params = database.seconds_until("taken_time"), list[str](), list[Any]()
    for number, (limit, window) in enumerate(rate_limits.items()):
        # One is free as soon as that is no longer in use which was taken last but so many.
        parts.append(
            f"SELECT {number:d}, COUNT(*), MAX(CASE WHEN place = {window.size:d} THEN taken_in END)"
            f" FROM (SELECT {taken_in.text} AS taken_in, ROW_NUMBER() OVER (ORDER BY taken_time DESC) AS place"
            f" FROM {SLOTS} WHERE of_limit = %s AND taken_time IS NOT NULL) AS taken WHERE taken_in > %s"
        )
        params += [*taken_in.params, limit, -window.length.total_seconds()]
    if not parts:
        return {}
    windows = [*rate_limits.items()]
    with database.connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), params)
        return {
            windows[number][0]: Starts(
                count, None if taken is None else windows[number][1].length.total_seconds() + float(taken)
            )
            for number, count, taken in cursor.fetchall()
        }


def count_waiting_by_name(database: Database, *, count_to: int) -> dict[str, WaitingCount]:
    """Return what waits for limits, by their names on record, counted no further than that, all together."""
    waited = database.seconds_until("MIN(waiting_since)")
    name = _without_values(database, "waits_for")
    with database.connection.cursor() as cursor:
        cursor.execute(
            f"SELECT name, COUNT(*), {waited.text} FROM (SELECT {name.text} AS name, waiting_since FROM {TABLE}"
            f" WHERE due_time = {database.far} AND waits_for IS NOT NULL ORDER BY waits_for LIMIT {count_to:d})"
            " AS waiting GROUP BY name",
            [*waited.params, *name.params],
        )
        return {name: WaitingCount(number, _age(until)) for name, number, until in cursor.fetchall()}


def count_held_by_name(database: Database, *, look_at: int) -> dict[str, int]:
    """Return how many slots are held, by the names of their limits on record, among so many slots.

    By mutations only where the database shows which rows they have locked without locking them too.
    """
    name = _without_values(database, "of_limit")
    locked = f" OR NOT ({database.not_executing})" if _shows_locks(database) else ""
    with database.connection.cursor() as cursor:
        cursor.execute(
            f"SELECT name, COUNT(*) FROM (SELECT {name.text} AS name FROM {SLOTS} slot WHERE ({IS_TAKEN}{locked})"
            f" AND {_among(look_at)}) AS held GROUP BY name",
            name.params,
        )
        return dict(cursor.fetchall())


def count_starts_by_name(database: Database, lengths: Mapping[str, timedelta], *, look_at: int) -> dict[str, int]:
    """Return how many slots of these rate limits are in use, by their names on record, among so many slots.

    ``lengths``: for how long a start has its slot.
    """
    if not lengths:
        return {}
    name, taken_in = _without_values(database, "of_limit"), database.seconds_until("taken_time")
    seconds = [param for limit, length in lengths.items() for param in (limit, -length.total_seconds())]
    with database.connection.cursor() as cursor:
        cursor.execute(
            f"SELECT name, COUNT(*) FROM (SELECT {name.text} AS name, {taken_in.text} AS taken_in FROM {SLOTS}"
            f" WHERE taken_time IS NOT NULL AND {_among(look_at)}) AS taken"
            f" WHERE taken_in > CASE name {'WHEN %s THEN %s ' * len(lengths)}ELSE 0 END GROUP BY name",
            [*name.params, *taken_in.params, *seconds],
        )
        return dict(cursor.fetchall())


def _among(look_at: int) -> str:
    """Return the condition, in SQL, that a slot is one of so many; in two steps, as MySQL asks it to be."""
    return f"id IN (SELECT id FROM (SELECT id FROM {SLOTS} ORDER BY id LIMIT {look_at:d}) AS among)"


def _without_values(database: Database, column: str) -> Sql:
    """Return the SQL of a limit's name on record, its text without values: ``bank``, or ``bank rate``."""
    blank = database.position_of_blank.format(column)
    length = f"{blank} - 1 + CASE WHEN SUBSTR({column}, {blank}, {len(RATE):d}) = %s THEN {len(RATE):d} ELSE 0 END"
    return Sql(f"CASE WHEN {blank} > 0 THEN SUBSTR({column}, 1, {length}) ELSE {column} END", RATE)


def _shows_locks(database: Database) -> bool:
    return database.not_executing != "TRUE"


def _age(until: float | None) -> float:
    return max(0.0, -float(until or 0.0))
