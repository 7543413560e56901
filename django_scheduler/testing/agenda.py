"""The agenda of a test: what is pending, in order, read once and then only as far as something may have changed.

A test may execute thousands of functions in one call. To ask the database before each of them which one comes next
would read all that is pending each time, and on PostgreSQL also what was pending before: within the test's transaction
nothing of that is cleaned up. So what is pending is read once, into memory. From then on

* what is scheduled has a larger id than all that was there, so it is found by the primary key. It is looked for when
  executors would be woken, and before the clock is moved;
* what is moved to another time wakes executors too, although there is nothing new: then everything is read again;
* what has been executed and has not ended, as after a transient error, is read by its id;
* what is canceled, or moved to a later time, is noticed when it comes up: nobody claims it, and the clock is not moved
  to where it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from heapq import heapify, heappop, heappush

from django.db.models import Max, Q
from django.utils import timezone

from django_scheduler.databases import DueFunction
from django_scheduler.models import ScheduledFunction, State
from django_scheduler.record import wakeup


class Agenda:
    """Says which pending function comes next, while a test executes what is pending."""

    def __init__(self, using: str) -> None:
        self._using = using
        self._rows = ScheduledFunction.objects.using(using)
        #: The largest id that it knows.
        self._newest = 0
        #: When they become due, their ids and their priorities.
        self._upcoming: list[tuple[datetime, int, int]] = []
        #: What is due, by priority: its reverse comes first.
        self._due: list[tuple[int, datetime, int]] = []
        #: How often executors have been told to look, and how often they had been when it looked last.
        self.wakeups = self._noticed_wakeups = 0

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Read what is pending, and notice within the block what changes."""
        wakeup.subscribe(self._using, self._count_wakeup)
        try:
            self._read_everything()
            yield
        finally:
            wakeup.unsubscribe(self._using, self._count_wakeup)

    @property
    def has_news(self) -> bool:
        """Return whether executors have been told to look since it looked last."""
        return self.wakeups > self._noticed_wakeups

    def pop_due(self) -> int | None:
        """Return the function that comes next of those that are due, and forget it; or return ``None``."""
        if self.has_news:
            self._noticed_wakeups = self.wakeups
            if not self._read():
                self._read_everything()
        now = timezone.now()
        while self._upcoming and self._upcoming[0][0] <= now:
            due_time, function_id, priority = heappop(self._upcoming)
            heappush(self._due, (-priority, due_time, function_id))
        return heappop(self._due)[2] if self._due else None

    def look_again_at(self, function_id: int) -> None:
        """Keep a function if it is pending."""
        self._read(function_id)

    def next_time(self) -> datetime | None:
        """Return when the next function becomes due, where nothing is due now; ``None``: nothing is pending."""
        while True:
            pending = self._read(heappop(self._upcoming)[1] if self._upcoming else None)
            if not self._upcoming:
                return None
            if self._upcoming[0] in pending:
                return self._upcoming[0][0]

    def _read_everything(self) -> None:
        self._newest = self._rows.aggregate(newest=Max("pk"))["newest"] or 0
        pending = self._rows.filter(state=State.PENDING).values_list("due_time", "pk", "priority")
        self._upcoming, self._due = list(pending), []
        heapify(self._upcoming)

    def _read(self, known_id: int | None = None) -> list[tuple[datetime, int, int]]:
        """Keep and return what is pending of what is new, and of what is known by this id."""
        # Without state = 'pending' in the statement: PostgreSQL might read all that is, or was, pending for it.
        rows = self._rows.filter(Q(pk=known_id) | Q(pk__gt=self._newest) if known_id else Q(pk__gt=self._newest))
        pending = []
        for due_time, function_id, priority, state in rows.values_list("due_time", "pk", "priority", "state"):
            self._newest = max(self._newest, function_id)
            if state == State.PENDING:
                pending.append((due_time, function_id, priority))
                heappush(self._upcoming, (due_time, function_id, priority))
        return pending

    def _count_wakeup(self, due_function: DueFunction | None) -> None:
        self.wakeups += 1
