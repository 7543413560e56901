"""What an action is to be done to: functions that were ticked, or all that match the filter of the list.

All that match are taken in batches, in the order of their ids, and no further than the newest one that there was when
the action was confirmed. So it comes to an end, also where it adds functions that match.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict

from django_scheduler.admin.answers import Answer, ask
from django_scheduler.admin.filters import Filters
from django_scheduler.admin.rows import for_comparison
from django_scheduler.admin.search import matches
from django_scheduler.cancellation import LARGEST_ID
from django_scheduler.databases import Database
from django_scheduler.models import ScheduledFunction

#: How many functions are changed with one request.
BATCH = 500

#: How far ids are looked through with one statement, and for how long with one request, in seconds.
SPAN, PATIENCE = 20_000, 1.0

#: Counting ends here.
SELECTION_COUNTED_TO = 10_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Functions that were ticked; or, if ``filters`` is there, all that match it."""

    ids: tuple[int, ...]
    filters: Filters | None = None
    #: The ids between which all that match lie; those up to ``first`` have been dealt with.
    first: int = 0
    last: int = 0

    @classmethod
    def read(cls, request: HttpRequest) -> "Selection":
        """From a form. What is not understood selects nothing."""
        if request.POST.get("all"):
            filters = Filters.read(QueryDict(request.POST.get("query", "")).dict())
            return cls((), filters, _number(request.POST.get("first")), _number(request.POST.get("last")))
        ids = {_number(text) for text in request.POST.getlist("id")[:BATCH]} - {0}
        return cls(tuple(sorted(ids)))

    @staticmethod
    def query_of(request: HttpRequest) -> str:
        """The filter of the list that somebody came from, as the end of an address."""
        filters = Filters.read(QueryDict(request.POST.get("query", "")).dict())
        return f"?{filters.address()}" if filters else ""

    @property
    def is_empty(self) -> bool:
        return bool(self.filters.problems) if self.filters else not self.ids

    @property
    def is_done(self) -> bool:
        return self.first >= self.last

    def bounded(self, rows: QuerySet[ScheduledFunction]) -> "Selection":
        """With the bounds that hold from now on, for a selection that has none yet."""
        if self.filters is None or self.last:
            return self
        oldest = rows.order_by("pk").values_list("pk", flat=True).first()
        newest = rows.order_by("-pk").values_list("pk", flat=True).first()
        return replace(self, first=(oldest or 1) - 1, last=newest or 0)

    def count(self, database: Database, rows: QuerySet[ScheduledFunction]) -> Answer[int]:
        """How many there are, counted up to ``SELECTION_COUNTED_TO``; within the time limit of a query."""
        if self.filters is None:
            return Answer(len(self.ids))
        if self.is_empty:
            return Answer(0)
        filters = self.filters
        search = filters.search
        matching = rows.filter(filters.indexed(database), pk__lte=self.last)
        if search is not None and search.function_id is None:
            return Answer(None)  # only comparing tells
        matching = matching.filter(filters.others(database)).order_by()
        return ask(database, matching[: SELECTION_COUNTED_TO + 1].count)

    def next_batch(self, database: Database, rows: QuerySet[ScheduledFunction]) -> tuple[list[int], "Selection"]:
        """The ids of the next functions, and what is left of the selection."""
        if self.filters is None:
            return list(self.ids), Selection(())
        if self.is_empty:
            return [], Selection(())
        found: list[int] = []
        first, began = self.first, time.monotonic()
        while len(found) < BATCH and first < self.last and time.monotonic() < began + PATIENCE:
            until = min(first + SPAN, self.last)
            ids = self._matching(database, rows.filter(pk__gt=first, pk__lte=until), BATCH - len(found))
            found += ids
            first = ids[-1] if len(found) == BATCH else until
        return found, replace(self, first=first)

    def _matching(self, database: Database, rows: QuerySet[ScheduledFunction], limit: int) -> list[int]:
        assert self.filters is not None
        filters = self.filters
        rows = rows.filter(filters.indexed(database)).order_by("pk")
        if filters.search is None or filters.search.function_id is not None:
            return list(rows.filter(filters.others(database)).values_list("pk", flat=True)[:limit])
        found = []
        candidates = for_comparison(rows).filter(filters.others(database))
        for function in candidates.iterator(chunk_size=BATCH):
            if matches(filters.search, function):
                found.append(function.pk)
                if len(found) == limit:
                    break
        return found


def progress(selection: Selection, oldest: int) -> float:
    """Which part of a selection has been dealt with, from 0 to 1."""
    span = selection.last - oldest
    return (selection.first - oldest) / span if span > 0 else 1.0


def numbers(parameters: Mapping[str, str], names: list[str]) -> dict[str, int]:
    """Whole numbers out of a form; 0 for what is none."""
    return {name: _number(parameters.get(name)) for name in names}


def _number(text: str | None) -> int:
    is_number = text is not None and text.isascii() and text.isdecimal() and len(text) < 20
    return min(int(text), LARGEST_ID) if is_number and text else 0
