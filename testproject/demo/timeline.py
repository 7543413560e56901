"""The timeline: what is scheduled, starts and ends, read from the table ``ScheduledFunction`` as it happens."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Max, QuerySet

from django_scheduler.models import UNFINISHED, ScheduledFunction, State
from testproject.demo.clock import DatabaseClock
from testproject.demo.terminal import Color, paint

#: How often the table is read, in seconds.
INTERVAL = 0.04

#: A line is shown only when it is that old, so that nothing earlier can come after it.
AGE = timedelta(seconds=0.15)

ENDS = {
    State.SUCCESS: ("succeeded", Color.GREEN),
    State.FAILED: ("failed", Color.RED),
    State.CANCELED: ("canceled", Color.YELLOW),
}


@dataclass(frozen=True, slots=True, order=True)
class Line:
    time: datetime
    text: str = field(compare=False)


class Timeline:
    """``check`` is called all the time, and may raise when there is no point in waiting on."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._lines: list[Line] = []
        self._seen: dict[int, ScheduledFunction] = {}
        self._newest_before: int = ScheduledFunction.objects.aggregate(newest=Max("pk"))["newest"] or 0
        self._clock = DatabaseClock()

    @property
    def functions(self) -> QuerySet[ScheduledFunction]:
        """What this demo has scheduled, as it is now: the database may have seen others."""
        return ScheduledFunction.objects.filter(pk__gt=self._newest_before, name__startswith="orders:").order_by("pk")

    def tell(self, text: str) -> None:
        """Add what somebody does, now."""
        self._lines.append(Line(self._clock.now(), paint(text, Color.BOLD)))

    def follow(self, until: Callable[[], bool] = lambda: False, seconds: float = float("inf")) -> None:
        """Show what happens until something is true, for so many seconds at most."""
        deadline = time.monotonic() + seconds
        while not until() and time.monotonic() < deadline:
            time.sleep(INTERVAL)
            self._check()
            self._look()
            self._show(self._clock.now() - AGE)

    def is_quiet(self) -> bool:
        """Whether everything that is due has ended."""
        return not self.functions.filter(state__in=UNFINISHED, due_time__lte=self._clock.now()).exists()

    def is_finished(self) -> bool:
        """Whether everything has ended."""
        return not self.functions.filter(state__in=UNFINISHED).exists()

    def flush(self) -> None:
        """Show everything."""
        self._look()
        self._show(self._clock.now())

    def _look(self) -> None:
        for function in self.functions:
            before = self._seen.get(function.pk)
            if before is None:
                self._add(function, function.creation_time, "scheduled", Color.CYAN, _plan(function))
            if function.started_time and not (before and before.started_time):
                self._add(function, function.started_time, "started", Color.BLUE, "")
            elif before and function.attempts > before.attempts and function.state == State.PENDING:
                self._add(function, self._clock.now(), "will retry", Color.YELLOW, function.error)
            if function.completed_time and not (before and before.completed_time):
                title, color = ENDS[State(function.state)]
                self._add(function, function.completed_time, title, color, _end(function))
            self._seen[function.pk] = function

    def _add(self, function: ScheduledFunction, time: datetime, title: str, color: Color, detail: str) -> None:
        text = f"  {paint(f'{title:<10}', color)} {function.name:<24} #{function.pk:<5} {paint(detail, Color.FAINT)}"
        self._lines.append(Line(time, text))

    def _show(self, until: datetime) -> None:
        ready = sorted(line for line in self._lines if line.time <= until)
        self._lines = [line for line in self._lines if line.time > until]
        for line in ready:
            stamp = paint(f"{self._clock.seconds(line.time):6.2f} s", Color.FAINT)
            print(f"{stamp}  {line.text}".rstrip(), flush=True)


def _plan(function: ScheduledFunction) -> str:
    delay = function.scheduled_time - function.creation_time
    days = round(delay / settings.SHOP_DAY)
    when = f"due in {days} days ({delay.total_seconds():.1f} s)" if days else "due at once"
    return f"{function.kind}, {when}"


def _end(function: ScheduledFunction) -> str:
    if function.state == State.FAILED:
        return function.error
    if function.started_time and function.completed_time:
        return f"took {(function.completed_time - function.started_time) / timedelta(milliseconds=1):.0f} ms"
    return "it never started"
