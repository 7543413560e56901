"""The overview shows the past and the next day; each panel has its own queries, which have a time limit.

Throughput and lag over time are counted by the database, in one query over the index of what has ended. The rest is
taken from the latest functions.

The charts are SVG that the server renders. Here they are geometry only, in units of the view box; colors are the style
sheet's.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

from django.db.models import Avg, Case, Count, DurationField, ExpressionWrapper, F, Max, QuerySet, TextField, When
from django.db.models.functions import Cast, Left, TruncHour, TruncMinute
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from django_scheduler.admin.outlook import may_run_again
from django_scheduler.admin.search import EXCEPTION, shown_error
from django_scheduler.admin.times import duration
from django_scheduler.admin.visibility import is_everything
from django_scheduler.crons import upcoming as upcoming_slots
from django_scheduler.databases import Database, database_for
from django_scheduler.fields import InstantField
from django_scheduler.models import ScheduledFunction, State

HOURS = 24

#: How many of the latest functions speeds and failures are taken from.
SAMPLE, FAILURES = 5_000, 1_000

#: Of failures whose arguments are longer than this, in characters, only the exception is shown.
LONGEST_ARGS = 1_000

#: How many lines the tables of the overview have.
LINES = 10

Functions = QuerySet[ScheduledFunction]


@dataclass(frozen=True, slots=True)
class Period:
    """Says how far back throughput and lag are shown, and in which steps."""

    name: str
    number: int
    step: timedelta
    trunc: type[TruncMinute | TruncHour]
    #: How a time on it is written.
    format: str


PERIODS = {
    period.name: period
    for period in (
        Period("hour", 60, timedelta(minutes=1), TruncMinute, "H:i"),
        Period("day", 24, timedelta(hours=1), TruncHour, "D H:i"),
        Period("week", 7 * 24, timedelta(hours=1), TruncHour, "D H:i"),
    )
}


@dataclass(frozen=True, slots=True)
class Course:
    """Says what has ended in each step of a period, and how late it had begun."""

    throughput: "Chart"
    #: The longest lag of each step.
    lag: "Chart"


@dataclass(frozen=True, slots=True)
class Speed:
    """Says how long a function takes, how late it begins and how often it fails, among the latest."""

    name: str
    count: int
    failed: int
    p50: float
    p95: float
    #: In 95 of 100 cases it has begun no later than that after it was due, in seconds.
    lag_p95: float

    @property
    def failed_percent(self) -> int:
        # 0 and 100 only where that is exact.
        return min(
            max(round(100 * self.failed / self.count), 1 if self.failed else 0),
            100 if self.failed == self.count else 99,
        )


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Describes the failures of one function for one reason."""

    name: str
    #: The exception; empty where the error does not begin with one.
    error: str
    count: int
    last: datetime
    last_error: str
    #: Whether the function allows it to people.
    may_run_again: bool


@dataclass(frozen=True, slots=True)
class Recent:
    """Says what was found among the latest functions that have ended."""

    #: Those that take longest.
    slowest: list[Speed]
    #: How many of them have succeeded or failed.
    count: int
    #: How far the database's clock is ahead of this host's, in seconds.
    clock_difference: float | None


def course(functions: Functions, period: Period) -> Course:
    """Return what has succeeded and failed in each step of the period, and how late it had begun."""
    # The steps begin where the database truncates.
    now = timezone.now().astimezone(UTC)
    current = now.replace(second=0, microsecond=0, minute=now.minute if period.trunc is TruncMinute else 0)
    start = current - (period.number - 1) * period.step
    lag = ExpressionWrapper(F("started_time") - _due_time(), output_field=DurationField())
    rows = (
        functions.filter(completed_time__gte=start)
        .order_by()
        .annotate(step=period.trunc("completed_time", tzinfo=database_for(functions.db).zone_of_columns))
        .values_list("step", "state")
        .annotate(number=Count("pk"), longest=Max(lag), average=Avg(lag))
    )
    counts: Counter[tuple[datetime, str]] = Counter()
    longest: dict[datetime, timedelta] = defaultdict(timedelta)
    total: dict[datetime, timedelta] = defaultdict(timedelta)
    for step, state, number, highest, average in rows:
        at = step.replace(tzinfo=UTC)
        counts[at, state] = number
        if state in (State.SUCCESS, State.FAILED) and highest is not None:
            longest[at] = max(longest[at], highest)
            total[at] += max(timedelta(0), average) * number
    steps = [start + number * period.step for number in range(period.number)]
    up = [counts[step, State.SUCCESS] for step in steps]
    down = [counts[step, State.FAILED] for step in steps]
    lags = [longest[step].total_seconds() for step in steps]
    times = [date_format(timezone.localtime(step), period.format) for step in steps]
    ended = [
        _("%(time)s: %(succeeded)d succeeded, %(failed)d failed") % {"time": time, "succeeded": above, "failed": below}
        for time, above, below in zip(times, up, down, strict=True)
    ]
    begun = [
        _("%(time)s: began at most %(longest)s after it was due, on average %(average)s")
        % {
            "time": time,
            "longest": duration(longest[step]),
            "average": duration(total[step] / max(1, above + below)),
        }
        for time, step, above, below in zip(times, steps, up, down, strict=True)
    ]
    return Course(chart(up, down, ended), chart(lags, [0] * len(steps), begun))


def _due_time() -> Case:
    """Return when a function was due that has begun; what a fleet was sent is due again later."""
    return Case(When(handed_over=True, then=F("scheduled_time")), default=F("due_time"), output_field=InstantField())


def upcoming(functions: Functions) -> "Chart":
    """Return what is going to be due in each hour of the next 24: what is on record, and the slots of crons.

    The first hour and the last one are those parts of a full hour that are within them.
    """
    now = timezone.now().astimezone(UTC)
    start = now.replace(minute=0, second=0, microsecond=0)
    end = now + timedelta(hours=HOURS)
    rows = (
        functions.filter(state=State.PENDING, due_time__gte=now, due_time__lt=end)
        .order_by()
        .annotate(hour=TruncHour("due_time", tzinfo=database_for(functions.db).zone_of_columns))
        .values_list("hour")
        .annotate(Count("pk"))
    )
    counts = Counter({hour.replace(tzinfo=UTC): number for hour, number in rows})
    hour = timedelta(hours=1)
    hours = [start + number * hour for number in range(-(-(end - start) // hour))]
    # Crons are of no queryset of functions: who does not see every function is not told what they are going to add.
    everything = is_everything(functions)
    slots = upcoming_slots(start, end, width=hour, using=functions.db) if everything else [0] * len(hours)
    totals = [counts[each] + number for each, number in zip(hours, slots, strict=True)]
    titles = [
        _("from %(time)s: %(number)d") % {"time": date_format(timezone.localtime(each), "D H:i"), "number": total}
        for each, total in zip(hours, totals, strict=True)
    ]
    return chart(totals, [0] * len(hours), titles)


def recent(database: Database, functions: Functions) -> Recent:
    """Return how long the latest functions that have ended took, and how the clocks differ."""
    rows = (
        functions.filter(completed_time__isnull=False)
        .order_by("-completed_time")
        .annotate(present=database.now())
        .annotate(was_due=_due_time())
        .values_list("name", "state", "was_due", "started_time", "completed_time", "present")[:SAMPLE]
    )
    durations: dict[str, list[float]] = defaultdict(list)
    lags: dict[str, list[float]] = defaultdict(list)
    failed: Counter[str] = Counter()
    found = list(rows)
    for name, state, due, started, completed, _present in found:
        if started is not None and completed is not None and state in (State.SUCCESS, State.FAILED):
            durations[name].append(max(0.0, (completed - started).total_seconds()))
            lags[name].append(max(0.0, (started - due).total_seconds()))
            failed[name] += state == State.FAILED
    speeds = [
        Speed(
            name, len(each), failed[name], percentile(each, 0.5), percentile(each, 0.95), percentile(lags[name], 0.95)
        )
        for name, each in durations.items()
    ]
    slowest = sorted(speeds, key=lambda speed: (-speed.p95, speed.name))[:LINES]
    difference = (found[0][-1] - timezone.now()).total_seconds() if found else None
    return Recent(slowest, sum(map(len, durations.values())), difference)


def failures(functions: Functions) -> list[FailureGroup]:
    """Return the latest failures by function and exception, the most frequent first."""
    rows = (
        functions.filter(state=State.FAILED, completed_time__isnull=False)
        .order_by("-completed_time")
        .values_list(
            "name", "kind", Left("error", 200), "completed_time", Left(Cast("args", TextField()), LONGEST_ARGS + 1)
        )
    )
    groups: dict[tuple[str, str], list[tuple[datetime, str, str]]] = defaultdict(list)
    kinds: dict[str, str] = {}
    for name, kind, error, completed, args in rows[:FAILURES]:
        kinds[name] = kind
        first_line = error.partition("\n")[0]
        match = EXCEPTION.match(first_line)
        groups[name, match[0] if match else ""].append((completed, first_line, args))
    most = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))[:LINES]
    return [
        FailureGroup(
            name,
            exception,
            len(members),
            last=members[0][0],
            last_error=_shown_error(name, *members[0][1:]),
            may_run_again=may_run_again(name, kinds[name]),
        )
        for (name, exception), members in most
    ]


def _shown_error(name: str, first_line: str, args: str) -> str:
    if len(args) > LONGEST_ARGS:
        return shown_error(name, first_line, None) or "…"
    return shown_error(name, first_line, json.loads(args))


def percentile(numbers: Sequence[float], part: float) -> float:
    """Return the number below or at which this part of them lies."""
    ranked = sorted(numbers)
    return ranked[max(0, -int(-part * len(ranked) // 1) - 1)]


#: The size of a chart.
WIDTH, HEIGHT = 600.0, 120.0

#: How much of its column a bar fills.
FILLED = 0.72


@dataclass(frozen=True, slots=True)
class Bar:
    """Describes a column of a chart, with what it says when one points at it."""

    x: str
    top: str
    up_height: str
    down_height: str
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Holds bars that go up from a base line, and others of the same columns that go down from it."""

    bars: list[Bar]
    bar_width: str
    width: str
    height: str
    base: str
    highest: float
    up_total: float
    down_total: float

    @property
    def is_empty(self) -> bool:
        return not self.up_total and not self.down_total


def chart(up: Sequence[float], down: Sequence[float], titles: Sequence[str]) -> Chart:
    """Return a chart of numbers, with what each column says when one points at it."""
    highest, lowest = max(up, default=0), max(down, default=0)
    unit = HEIGHT / max(1, _round_number(highest) + _round_number(lowest))
    base = unit * _round_number(highest) if highest or lowest else HEIGHT
    column = WIDTH / max(1, len(up))
    bars = []
    for number, (above, below, title) in enumerate(zip(up, down, titles, strict=True)):
        x, up_height, down_height = column * (number + (1 - FILLED) / 2), _visible(unit * above), _visible(unit * below)
        bars.append(Bar(_units(x), _units(base - up_height), _units(up_height), _units(down_height), title))
    bar_width = _units(column * FILLED)
    return Chart(bars, bar_width, _units(WIDTH), _units(HEIGHT), _units(base), highest, sum(up), sum(down))


def _visible(height: float) -> float:
    # One function among thousands is to be seen too.
    return max(height, 1.5) if height else 0.0


def _round_number(number: float) -> int:
    """Return the next number of the form 1, 2, 5, 10, 20, 50, ... up to which an axis goes; 0 for 0."""
    steps = (factor * 10**power for power in count() for factor in (1, 2, 5))
    return next(step for step in steps if number <= step) if number else 0


def _units(number: float) -> str:
    # Not as a number: a template would write it with the comma of the language.
    return f"{number:.2f}"
