"""What is read of a function for a list: nothing that may be large.

The orders in which functions are listed, and places in them: a page begins behind the last row of another.

A page of the list, at whatever number of rows.

* Every list has the order in which an index gives it, and a page begins behind the last row of the one before. So the
  thousandth page costs as much as the first, and nothing is shown twice while rows are added.
* What no index finds is looked for among the next ``LOOKED_AT`` rows of that order. The page says so, and the next
  one looks further.
* What is pending lies in its index lane by lane. So the heads of the lanes are merged.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Case, F, JSONField, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Cast, Left, Length

from django_scheduler.admin.filters import OVERDUE, Filters, matches
from django_scheduler.admin.readable import brief
from django_scheduler.databases import Database
from django_scheduler.masking import masked
from django_scheduler.models import ScheduledFunction, State
from django_scheduler.times import EPOCH
from django_scheduler.values import JSONValue

#: Arguments longer than this are not loaded for a list, and those longer than that are not searched.
LONGEST_ARGUMENTS, LONGEST_SEARCHED = 4_000, 100_000

LONGEST_ERROR = 300

LARGE = ("args", "result", "error", "traceback")


def for_list(rows: QuerySet[ScheduledFunction]) -> QuerySet[ScheduledFunction]:
    """With what a list shows."""
    length = Length(Cast("args", TextField()))
    short = Case(
        When(args_length__lte=LONGEST_ARGUMENTS, then=F("args")), default=Value(None), output_field=JSONField()
    )
    return rows.defer(*LARGE).annotate(args_length=length, short_args=short, error_start=Left("error", LONGEST_ERROR))


def for_comparison(rows: QuerySet[ScheduledFunction]) -> QuerySet[ScheduledFunction]:
    """With the arguments, to be compared with what is searched."""
    text = Cast("args", TextField())
    return (
        rows.defer(*(column for column in LARGE if column != "args"))
        .annotate(args_text=text, args_length=Length(text), error_start=Left("error", LONGEST_ERROR))
        .filter(args_length__lte=LONGEST_SEARCHED)
    )


class Row:
    """A function as a line of a list."""

    def __init__(self, function: ScheduledFunction) -> None:
        self.function = function

    @property
    def arguments(self) -> str | None:
        """In brief; ``None`` if they are too large for that."""
        args: JSONValue = getattr(self.function, "short_args", None)
        if args is None and "args" in self.function.__dict__:
            args = self.function.args
        return None if args is None else brief(masked(self.function.name, args))

    @property
    def took(self) -> timedelta | None:
        """From its start to its end."""
        started, completed = self.function.started_time, self.function.completed_time
        return completed - started if started and completed else None

    @property
    def arguments_length(self) -> int:
        return int(getattr(self.function, "args_length", 0) or 0)

    @property
    def first_line_of_error(self) -> str:
        return str(getattr(self.function, "error_start", "")).strip().partition("\n")[0]


@dataclass(frozen=True, slots=True)
class Position:
    """The place of a row."""

    pk: int
    #: By which rows are ordered first; ``None`` where that is the id.
    time: datetime | None

    def __str__(self) -> str:
        if self.time is None:
            return str(self.pk)
        return f"{(self.time - EPOCH) // timedelta(microseconds=1)}.{self.pk}"


@dataclass(frozen=True, slots=True)
class Order:
    """An order that an index gives."""

    field: str
    is_descending: bool

    def sorted(self, rows: QuerySet[ScheduledFunction]) -> QuerySet[ScheduledFunction]:
        sign = "-" if self.is_descending else ""
        return rows.order_by(*(f"{sign}{field}" for field in dict.fromkeys((self.field, "pk"))))

    def beyond(self, position: Position) -> Q:
        """What comes after the position."""
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
        return Position(row.pk, None if self.field == "pk" else getattr(row, self.field))

    def read(self, text: str) -> Position | None:
        """A position from an address; ``None`` if it is none in this order."""
        time, dot, pk = text.rpartition(".")
        if bool(dot) is (self.field == "pk") or not _is_number(pk) or (dot and not _is_number(time)):
            return None
        try:
            return Position(int(pk), EPOCH + timedelta(microseconds=int(time)) if dot else None)
        except OverflowError:
            return None


def order_of(filters: Filters) -> Order:
    """What is pending as it falls due, what has finished from the latest on, everything else by id."""
    if filters.finds_by_reference:
        return Order("pk", is_descending=True)
    match filters.state:
        case State.PENDING.value | "overdue":
            return Order("due_time", is_descending=False)
        case State.SUCCESS.value | State.FAILED.value | State.CANCELED.value:
            return Order("completed_time", is_descending=True)
        case _:
            return Order("pk", is_descending=True)


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) < 20


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
