"""The panels of the overview ask for what they show, each within the time limit, and say what the template is given."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db.models import Count, QuerySet

from django_scheduler import status
from django_scheduler.admin import batches, statistics
from django_scheduler.admin.time_limit import Answer, Questions
from django_scheduler.admin.visibility import is_everything
from django_scheduler.databases import Database, browsing
from django_scheduler.models import Pause, ScheduledFunction, State

#: From which lag on the overview shows a problem, and not only a warning, in seconds.
VERY_LATE = 300.0

#: From which difference on the overview says that the clocks differ, in seconds.
CLOCKS_APART = 2.0

#: Among how many pending functions those are counted that wait under a key, or for another attempt; and how many that
#: wait for a limit.
WAITS_LOOKED_AT = 10_000


@dataclass(frozen=True, slots=True)
class Waits:
    """Says what waits under a key, for another attempt, and for a limit."""

    counted: browsing.WaitCounts
    #: The one whose next attempt is due first.
    next_repeated: ScheduledFunction | None

    @property
    def is_partial(self) -> bool:
        """Return whether there may be more that was not looked at."""
        return self.counted.looked_at == WAITS_LOOKED_AT

    @property
    def more_limited(self) -> bool:
        """Return whether more may wait for a limit than were counted."""
        return self.counted.limited == WAITS_LOOKED_AT


@dataclass(frozen=True, slots=True)
class Answers:
    """Holds what was asked. What counts and names functions beside the queryset is empty for who does not see all."""

    shows_everything: bool
    queues: Answer[tuple[status.QueueStatus, ...]]
    executors: Answer[tuple[status.ExecutorStatus, ...]]
    unknown: Answer[tuple[status.UnknownFunction, ...]]
    open_batches: Answer[batches.BatchPage]
    waits: Answer[Waits]
    pauses: Mapping[str, status.PauseStatus]
    closed_limits: tuple[status.LimitStatus | status.RateLimitStatus, ...]
    #: How many actions each executor executes.
    busy: Answer[dict[str, int]]
    recent: Answer[statistics.Recent]
    last_hour: Answer[statistics.Course]
    course: Answer[statistics.Course]
    upcoming: Answer[statistics.Chart]
    failures: Answer[list[statistics.FailureGroup]]


def of(
    database: Database, functions: QuerySet[ScheduledFunction], period: statistics.Period, name: str
) -> dict[str, Any]:
    """Return what the template of the overview shows. ``name``: whose course it shows; empty: that of all functions."""
    answers = _ask(database, functions, period, name)
    return {
        **_headline(answers),
        **_queues(answers),
        **_executors(answers),
        **_course(answers),
        "shows_everything": answers.shows_everything,
        "problems": _problems(answers),
        "open_batches": answers.open_batches,
        "waits": answers.waits,
        "upcoming": answers.upcoming,
        "failures": answers.failures,
    }


def _ask(database: Database, functions: QuerySet[ScheduledFunction], period: statistics.Period, name: str) -> Answers:
    using, shows_everything = database.using, is_everything(functions)
    in_progress = functions.filter(state=State.IN_PROGRESS).order_by()
    queues: Answer[tuple[status.QueueStatus, ...]] = Answer(())
    executors: Answer[tuple[status.ExecutorStatus, ...]] = Answer(())
    unknown: Answer[tuple[status.UnknownFunction, ...]] = Answer(())
    open_batches = Answer(batches.BatchPage(()))
    waits = Answer(Waits(browsing.WaitCounts(0, 0, 0, None), None))
    with Questions(database) as ask:
        if shows_everything:
            queues = ask(partial(status.queues, using))
            executors = ask(partial(status.executors, using))
            open_batches = ask(partial(batches.open_batches, database, batches.PANEL_LINES))
            waits = ask(partial(_waits, database, functions))
        if any(queue.has_unknown for queue in queues.value or ()):
            unknown = ask(partial(status.unknown_functions, using))
        busy = ask(lambda: dict(in_progress.values_list("executor").annotate(Count("pk"))))
        recent = ask(partial(statistics.recent, database, functions))
        last_hour = course = ask(partial(statistics.course, functions, statistics.PERIODS["hour"]))
        if name or period.name != "hour":
            course = ask(partial(statistics.course, functions.filter(name=name) if name else functions, period))
        upcoming = ask(partial(statistics.upcoming, functions))
        failures = ask(partial(statistics.failures, functions))
        pauses = {pause.queue: pause for pause in status.pauses(using)}
        closed_limits = status.closed_limits(using) if shows_everything else ()
    return Answers(
        shows_everything=shows_everything,
        queues=queues,
        executors=executors,
        unknown=unknown,
        open_batches=open_batches,
        waits=waits,
        pauses=pauses,
        closed_limits=closed_limits,
        busy=busy,
        recent=recent,
        last_hour=last_hour,
        course=course,
        upcoming=upcoming,
        failures=failures,
    )


def _waits(database: Database, functions: QuerySet[ScheduledFunction]) -> Waits:
    counted = browsing.count_waits(database, at_most=WAITS_LOOKED_AT)
    next_one = None
    if counted.next_repeated is not None:
        next_one = functions.only("name", "due_time").filter(pk=counted.next_repeated).first()
    return Waits(counted, next_one)


def _problems(answers: Answers) -> list[status.Problem]:
    queues, executors = answers.queues.value, answers.executors.value
    if not answers.shows_everything or queues is None or executors is None:
        return []
    unknown = answers.unknown.value or ()
    found = status.find_problems(queues, executors, answers.pauses.values(), unknown, answers.closed_limits)
    # Of the pause of everything there is a banner with a button.
    return [each for each in found if (each.code, each.queue) != (status.ProblemCode.PAUSED, None)]


def _headline(answers: Answers) -> dict[str, Any]:
    queues = answers.queues.value or ()
    lag = max((queue.lag for queue in queues), default=0.0)
    last_hour = answers.last_hour.value
    return {
        "lag": lag,
        "lag_level": "bad" if lag > VERY_LATE else "warning" if lag > status.LATE_AFTER else "good",
        "due": sum(queue.due for queue in queues),
        "pending": sum(queue.pending for queue in queues),
        "most_counted": status.MOST_COUNTED,
        "running": sum((answers.busy.value or {}).values()),
        "busy": answers.busy,
        "per_minute": Answer(last_hour.throughput if last_hour else None),
    }


def _queues(answers: Answers) -> dict[str, Any]:
    by_queue = {queue.queue: queue for queue in answers.queues.value or ()}
    lines = [
        {
            "name": queue,
            "status": by_queue.get(queue),
            "pause": answers.pauses.get(queue),
            "serving": sum(executor.serves(queue) for executor in answers.executors.value or ()),
        }
        for queue in sorted({*by_queue, *answers.pauses} - {Pause.EVERYTHING})
    ]
    pause_of_everything = answers.pauses.get(Pause.EVERYTHING)
    return {"queues": answers.queues, "queue_lines": lines, "pause_of_everything": pause_of_everything}


def _executors(answers: Answers) -> dict[str, Any]:
    busy = answers.busy.value or {}
    difference = answers.recent.value.clock_difference if answers.recent.value else None
    return {
        "executors": answers.executors,
        "executor_lines": [
            {"executor": executor, "busy": busy.get(executor.name, 0)} for executor in answers.executors.value or ()
        ],
        "clock_difference": difference,
        "clocks_differ": abs(difference or 0.0) > CLOCKS_APART,
    }


def _course(answers: Answers) -> dict[str, Any]:
    course, recent = answers.course.value, answers.recent.value
    return {
        "course": answers.course,
        "throughput": course.throughput if course else None,
        "lag_course": course.lag if course else None,
        "recent": answers.recent,
        "slowest": recent.slowest if recent else [],
    }
