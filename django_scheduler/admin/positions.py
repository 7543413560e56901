"""The orders in which functions are listed, and places in them: a page begins behind the last row of another."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from django_scheduler.admin.filters import Filters
from django_scheduler.models import ScheduledFunction, State
from django_scheduler.times import EPOCH


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
