"""A page of the list, at whatever number of rows.

* Every list has the order in which an index gives it, and a page begins behind the last row of the one before. So the
  thousandth page costs as much as the first, and nothing is shown twice while rows are added.
* What no index finds is looked for among the next ``LOOKED_AT`` rows of that order. The page says so, and the next
  one looks further.
* What is pending lies in its index lane by lane. So the heads of the lanes are merged.
"""

from dataclasses import dataclass

from django.db.models import QuerySet

from django_scheduler.admin.filters import OVERDUE, Filters
from django_scheduler.admin.positions import Order, Position, order_of
from django_scheduler.admin.rows import for_comparison, for_list
from django_scheduler.admin.search import matches
from django_scheduler.databases import Database
from django_scheduler.models import ScheduledFunction

#: How many rows are looked at for a page where no index finds what is looked for. On PostgreSQL 20 to 100 ms.
LOOKED_AT = 25_000

#: How many rows are compared with what may be read of them, for one page.
MOST_COMPARED = 500

#: More lanes than this are not merged but sorted.
MOST_LANES = 100


@dataclass(frozen=True, slots=True)
class Page:
    rows: list[ScheduledFunction]
    #: Behind which rows the pages before and after this one lie; ``None``: there is no such page.
    before: Position | None = None
    after: Position | None = None
    #: Whether there may be more that was not looked at.
    is_partial: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    rows: list[ScheduledFunction]
    #: Where looking has ended, if that is before the end.
    end: Position | None = None


class Listing:
    def __init__(self, database: Database, rows: QuerySet[ScheduledFunction], filters: Filters) -> None:
        self._database = database
        self._rows = rows.using(database.using)
        self._filters = filters

    def page(self, *, size: int, after: str = "", before: str = "") -> Page:
        """The page behind a position, or before one; without, the first one."""
        order = order_of(self._filters)
        if self._filters.problems:
            return Page([])
        if not after and (start := order.read(before)):
            return self._page_before(order, start, size)
        start = order.read(after)
        found = self._find(order, start, size + 1)
        rows = found.rows[:size]
        has_more = len(found.rows) > size
        return Page(
            rows,
            before=(order.position(rows[0]) if rows else start) if start else None,
            after=order.position(rows[-1]) if has_more else found.end,
            is_partial=not has_more and found.end is not None,
        )

    def _page_before(self, order: Order, start: Position, size: int) -> Page:
        found = self._find(order.reversed(), start, size + 1)
        rows = found.rows[:size][::-1]
        has_more = len(found.rows) > size
        return Page(
            rows,
            before=order.position(rows[0]) if has_more else found.end,
            after=order.position(rows[-1]) if rows else start,
            is_partial=not has_more and found.end is not None,
        )

    def _find(self, order: Order, start: Position | None, limit: int) -> Found:
        others = self._filters.others(self._database)
        if order == Order("due_time", is_descending=False) and self._filters.are_of_lanes:
            ids = self._first_pending(start, limit)
            if ids is not None:
                by_id = {row.pk: row for row in for_list(self._rows.filter(pk__in=ids))}
                return Found([by_id[pk] for pk in ids if pk in by_id])
        rows = order.sorted(self._rows.filter(self._filters.indexed(self._database)))
        if start:
            rows = rows.filter(order.beyond(start))
        if not others:
            return Found(list(for_list(rows)[:limit]))
        end = _end_of_looking(order, rows)
        if end:
            rows = rows.exclude(order.beyond(end))
        search = self._filters.search
        if search is None or search.function_id is not None:
            return Found(list(for_list(rows.filter(others))[:limit]), end)
        found: list[ScheduledFunction] = []
        candidates = list(for_comparison(rows).filter(others)[:MOST_COMPARED])
        for row in candidates:
            if matches(search, row):
                found.append(row)
                if len(found) == limit:
                    return Found(found, end)
        return Found(found, order.position(candidates[-1]) if len(candidates) == MOST_COMPARED else end)

    def _first_pending(self, start: Position | None, limit: int) -> list[int] | None:
        overdue_only = self._filters.state == OVERDUE
        queue = self._filters.values.get("queue")
        lanes = [lane for lane in self._database.lanes() if queue in (None, lane.queue)]
        if len(lanes) > MOST_LANES:
            return None
        after = (start.time, start.pk) if start and start.time else None
        return self._database.first_pending(lanes, after=after, overdue_only=overdue_only, limit=limit)


def _end_of_looking(order: Order, rows: QuerySet[ScheduledFunction]) -> Position | None:
    fields = (order.field, "pk")
    for value, pk in rows.values_list(*fields)[LOOKED_AT : LOOKED_AT + 1]:
        return Position(pk, None if order.field == "pk" else value)
    return None
