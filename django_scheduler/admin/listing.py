"""A page of the list shows functions in the order of an index, whatever number of them there is.

* Every list has the order in which an index gives it, and a page begins behind the last row of the one before. So the
  thousandth page costs as much as the first, and nothing is shown twice while rows are added.
* What no index finds is looked for among the next ``LOOKED_AT`` rows of that order, and no longer than
  ``SEARCH_SECONDS``. The page says so, and the next one looks further.
* What is pending lies in its index lane by lane. So the heads of the lanes are merged, for those who may see all of it.
  What waits for a limit comes last there, in the order in which it was scheduled; that of one limit, in the order in
  which it is let in.
* Values that may be large are read only up to a length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from time import monotonic
from typing import Any

from django.db.models import Case, F, JSONField, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Cast, Left, Length

from django_scheduler.admin.filters import LIMITED, OVERDUE, Filters, read_id
from django_scheduler.admin.limits import shown_limit
from django_scheduler.admin.readable import brief
from django_scheduler.admin.search import Search, shown_error
from django_scheduler.admin.visibility import is_everything
from django_scheduler.databases import Database, browsing, limit_browsing
from django_scheduler.masking import masked
from django_scheduler.models import ScheduledFunction, State
from django_scheduler.times import EPOCH
from django_scheduler.values import JSONValue

#: How many rows are looked at for a page where no index finds what is looked for. On PostgreSQL 20 to 100 ms.
LOOKED_AT = 25_000

#: How many rows are read with one statement to be compared with what is searched, and for how long with one page.
COMPARED, SEARCH_SECONDS = 2_500, 0.5

#: More lanes than this are not merged but sorted.
MOST_LANES = 100

#: Arguments longer than this are not loaded for a list, and those longer than that are not searched.
LONGEST_ARGUMENTS, LONGEST_SEARCHED = 4_000, 10_000

#: How much of an error is loaded for a list, and how much of it is searched.
LONGEST_ERROR, LONGEST_SEARCHED_ERROR = 300, 2_000

#: The columns that may be large.
LARGE = ("args", "result", "error", "traceback")


@dataclass(frozen=True, slots=True)
class Page:
    """Holds some rows of the list."""

    rows: list[ScheduledFunction]
    #: Behind which rows the pages before and after this one lie; ``None``: there is no such page.
    before: "Position | None" = None
    after: "Position | None" = None
    #: Among how many functions these were looked for, if there are more that were not looked at.
    looked_at: int = 0

    @property
    def is_partial(self) -> bool:
        """Return whether there may be more that was not looked at."""
        return self.looked_at > 0


class Listing:
    """Finds the functions that filters let through, page by page."""

    def __init__(self, database: Database, rows: QuerySet[ScheduledFunction], filters: Filters) -> None:
        self._database = database
        self._rows = rows.using(database.using)
        self._filters = filters
        self._order = order_of(filters)

    def page(self, *, size: int, after: str = "", before: str = "") -> Page:
        """Return the page behind a position, or before one; without, the first one."""
        if self._filters.problems:
            return Page([])
        is_backward = not after and self._order.read(before) is not None
        order = self._order.reversed() if is_backward else self._order
        start = order.read(before if is_backward else after)
        found, end = self._find(order, start, size + 1)
        rows, has_more = found[:size], len(found) > size
        near = (order.position(rows[0]) if rows else start) if start else None
        far = order.position(rows[-1]) if has_more else end
        looked_at = 0 if has_more or end is None else self._number_between(order, start, end)
        if is_backward:
            return Page(rows[::-1], before=far, after=near, looked_at=looked_at)
        return Page(rows, before=near, after=far, looked_at=looked_at)

    def _find(
        self, order: "Order", start: "Position | None", limit: int
    ) -> "tuple[list[ScheduledFunction], Position | None]":
        """Return so many rows from a position on, and where looking has ended if that is before the end."""
        if order == FIRST_DUE and self._filters.are_of_lanes and is_everything(self._rows):
            ids = self._first_pending(start, limit)
            if ids is not None:
                return self._in_order_of(ids), None
        rows = order.sorted(self._rows.filter(self._filters.indexed(self._database)))
        if start:
            rows = rows.filter(order.beyond(start))
        others, search = self._filters.others(self._database), self._filters.search
        if not others and search is None:
            return list(for_list(rows)[:limit]), None
        end = order.position_at(LOOKED_AT, rows)
        if end:
            rows = rows.exclude(order.beyond(end))
        if others:
            rows = rows.filter(others)
        if search is None:
            return list(for_list(rows)[:limit]), end
        return self._search(search, order, rows, limit, end)

    def _search(
        self, search: Search, order: "Order", rows: QuerySet[ScheduledFunction], limit: int, end: "Position | None"
    ) -> "tuple[list[ScheduledFunction], Position | None]":
        """Compare rows with what is searched, until so many are found, or the time is up, or there are no more."""
        ids: list[int] = []
        number, deadline, last = 0, monotonic() + SEARCH_SECONDS, None
        for until in count(COMPARED, COMPARED):
            portion = rows.filter(order.beyond(last)) if last else rows
            for pk, place, *readable in for_comparison(portion, order.field)[:COMPARED].iterator(chunk_size=500):
                number += 1
                if search.finds(*readable):
                    ids.append(pk)
                is_over = len(ids) == limit or monotonic() > deadline
                if is_over or number == until:
                    last = order.position_of(pk, place)
                if is_over:
                    return self._in_order_of(ids), last
            if number < until:
                break
        return self._in_order_of(ids), end

    def _in_order_of(self, ids: Sequence[int]) -> list[ScheduledFunction]:
        by_id = {row.pk: row for row in for_list(self._rows.filter(pk__in=ids))}
        return [by_id[pk] for pk in ids if pk in by_id]

    def _number_between(self, order: "Order", start: "Position | None", end: "Position") -> int:
        """Return among how many rows something was looked for."""
        if self._filters.search is None:
            return LOOKED_AT  # behind so many it has ended
        rows = self._rows.filter(self._filters.indexed(self._database)).exclude(order.beyond(end))
        return (rows.filter(order.beyond(start)) if start else rows)[:LOOKED_AT].count()

    def _first_pending(self, start: "Position | None", limit: int) -> list[int] | None:
        """Return the ids of what falls due first; ``None`` if there are too many lanes to be merged."""
        queue = self._filters.values.get("queue")
        lanes = [lane for lane in self._database.lanes() if queue in (None, lane.queue)]
        if len(lanes) > MOST_LANES:
            return None
        after = (start.time, start.pk) if start and start.time else None
        due_only, waiting_only = self._filters.state == OVERDUE, self._filters.state == LIMITED
        return browsing.first_pending(
            self._database, lanes, after=after, due_only=due_only, waiting_only=waiting_only, limit=limit
        )


@dataclass(frozen=True, slots=True)
class Position:
    """Says where a row is."""

    pk: int
    #: By which rows are ordered first; ``None`` where that is the id.
    time: datetime | None

    def __str__(self) -> str:
        if self.time is None:
            return str(self.pk)
        return f"{(self.time - EPOCH) // timedelta(microseconds=1)}.{self.pk}"


@dataclass(frozen=True, slots=True)
class Order:
    """Describes an order that an index gives."""

    field: str
    is_descending: bool

    def sorted(self, rows: QuerySet[ScheduledFunction]) -> QuerySet[ScheduledFunction]:
        sign = "-" if self.is_descending else ""
        return rows.order_by(*(f"{sign}{field}" for field in dict.fromkeys((self.field, "pk"))))

    def beyond(self, position: Position) -> Q:
        """Return the condition that what comes after the position meets."""
        than = "lt" if self.is_descending else "gt"
        if position.time is None:
            return Q(**{f"pk__{than}": position.pk})
        # The first condition is the one by which the index is entered.
        return Q(**{f"{self.field}__{than}e": position.time}) & (
            Q(**{f"{self.field}__{than}": position.time}) | Q(**{f"pk__{than}": position.pk})
        )

    def reversed(self) -> "Order":
        return Order(self.field, not self.is_descending)

    def position(self, row: ScheduledFunction) -> Position:
        return self.position_of(row.pk, getattr(row, self.field))

    def position_at(self, number: int, rows: QuerySet[ScheduledFunction]) -> Position | None:
        """Return the position of the row behind so many others, if there is one."""
        for pk, value in rows.values_list("pk", self.field)[number : number + 1]:
            return self.position_of(pk, value)
        return None

    def read(self, text: str) -> Position | None:
        """Return the position that an address names; ``None`` if it is none in this order."""
        time, dot, pk = text.rpartition(".")
        if bool(dot) is (self.field == "pk") or read_id(pk) is None or (dot and not _is_number(time)):
            return None
        try:
            return Position(int(pk), EPOCH + timedelta(microseconds=int(time)) if dot else None)
        except OverflowError:
            return None

    def position_of(self, pk: int, value: Any) -> Position:
        """Return the position of the row with that id, and that value in the field that is ordered by."""
        return Position(pk, None if self.field == "pk" else value)


FIRST_DUE = Order("due_time", is_descending=False)
FIRST_LET_IN = Order("waiting_since", is_descending=False)
LATEST_COMPLETED = Order("completed_time", is_descending=True)
NEWEST = Order("pk", is_descending=True)


def order_of(filters: Filters) -> Order:
    """Return in which order functions are listed."""
    if filters.finds_by_reference:
        return NEWEST
    if "limit" in filters.values:
        return FIRST_LET_IN
    if filters.state in (State.PENDING, OVERDUE, LIMITED):
        return FIRST_DUE
    return LATEST_COMPLETED if filters.state in (State.SUCCESS, State.FAILED, State.CANCELED) else NEWEST


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) < 20


def for_list(rows: QuerySet[ScheduledFunction]) -> QuerySet[ScheduledFunction]:
    """Return the rows with what a list shows."""
    return rows.defer(*LARGE, "history").annotate(
        args_length=length_of("args"),
        short_args=unless_longer("args", LONGEST_ARGUMENTS),
        error_start=Left("error", LONGEST_ERROR),
    )


def for_comparison(rows: QuerySet[ScheduledFunction], *columns: str) -> QuerySet[ScheduledFunction, Any]:
    """Return the ids and some columns of rows, and behind these what ``Search.finds`` compares."""
    return rows.annotate(
        args_length=length_of("args"),
        short_args=unless_longer("args", LONGEST_SEARCHED),
        error_start=Left("error", LONGEST_SEARCHED_ERROR),
    ).values_list("pk", *columns, "name", "short_args", "error_start", "key")


def length_of(column: str) -> Length:
    """Return the length of JSON as it is stored, in characters."""
    return Length(Cast(column, TextField()))


def unless_longer(column: str, longest: int) -> Case:
    """Return JSON, or ``None`` if it is longer than that; the rows must have its length as ``<column>_length``."""
    is_short = When(**{f"{column}_length__lte": longest}, then=F(column))
    return Case(is_short, default=Value(None), output_field=JSONField())


class Row:
    """Shows a function as a line of a list, with what ``for_list`` has read of it."""

    def __init__(self, function: ScheduledFunction) -> None:
        self.function = function

    @property
    def arguments(self) -> str | None:
        """Return its arguments in brief, or ``None`` if they are too large for that."""
        args = self.args
        return None if args is None else brief(masked(self.function.name, args))

    @property
    def args(self) -> JSONValue:
        """Return its arguments as they are stored, or ``None`` if they have not been read."""
        args: JSONValue = getattr(self.function, "short_args", None)
        return args

    @property
    def arguments_length(self) -> int:
        return int(getattr(self.function, "args_length", 0) or 0)

    @property
    def due_time(self) -> datetime:
        """Return when it is due; for one that waits for a limit, when it was."""
        return limit_browsing.due_time_of(self.function)

    @property
    def waits_for(self) -> str:
        """Return the limit that it waits for, as it may be read; empty if it waits for none."""
        function = self.function
        return shown_limit(function.waits_for).text if function.waits_for and limit_browsing.waits(function) else ""

    @property
    def took(self) -> timedelta | None:
        """Return how long it took from its start to its end."""
        started, completed = self.function.started_time, self.function.completed_time
        return completed - started if started and completed else None

    @property
    def first_line_of_error(self) -> str:
        text = str(getattr(self.function, "error_start", "")).strip()
        return shown_error(self.function.name, text, self.args).partition("\n")[0]
