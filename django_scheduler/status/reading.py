"""The status is read from the database: what waits, what runs, what has ended, and who is alive.

It locks nothing and costs little, whatever is on record: each lane is looked up in the index of what is pending, and a
count of pending functions stops at ``MOST_COUNTED``. (Measured on PostgreSQL with a million pending functions: 16 ms;
it would be 80 if all of them were counted.) It is read from the primary, because a replica may be late itself.

Lag is the age of the oldest due function that nobody is executing. An action that executes is not pending. A mutation
that executes is, because nothing is committed yet. PostgreSQL shows which row its transaction holds, so there it does
not count. Elsewhere nothing shows it, so for as long as a mutation executes it counts as due: one that executes for ten
seconds looks like a lag of ten seconds. On the other hand, on PostgreSQL all members of a group count as executing as
soon as the group has begun; a function that a fleet was sent counts as due only once it is to be sent again; and one
that waits for a retry once it is due again. So lag may be reported too long, and a little too short.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any

from django.db import router
from django.db.models import Count

from django_scheduler.conf import get_settings
from django_scheduler.databases import Backlog, browsing, database_for, limit_browsing
from django_scheduler.functions import Concurrency, DeclaredLimit, RateLimit, is_rate, name_of_limit, registry
from django_scheduler.models import Batch, Executor, Limit, Pause, ScheduledFunction, State
from django_scheduler.status.problems import Problem, find_problems
from django_scheduler.status.snapshot import (
    Ended,
    ExecutorStatus,
    LimitStatus,
    PauseStatus,
    QueueStatus,
    RateLimitStatus,
    RunningFunction,
    UnknownFunction,
)

#: Counts end here: a number as large as this means so many, or more.
MOST_COUNTED = 100_000

#: How many limits of each kind are named, and among how many slots those are counted that are in use.
MOST_LIMITS, SLOTS_LOOKED_AT = 200, 10_000

#: How many of the functions are looked at that executors do not know.
MOST_UNKNOWN = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Says what was going on in one database at one moment."""

    #: The queues in which something is pending, ordered by name.
    queues: tuple[QueueStatus, ...]
    #: Ordered by queue.
    pauses: tuple[PauseStatus, ...]
    #: How many actions are being executed.
    running: int
    ended_per_minute: Ended
    #: Ordered by name.
    executors: tuple[ExecutorStatus, ...]
    #: What executors could not execute because their code is older, the longest unknown first.
    unknown_functions: tuple[UnknownFunction, ...]
    #: How many batches have members that have not ended.
    open_batches: int
    #: Those that the code declares, that somebody has set, or that functions on record wait for, ordered by name.
    limits: tuple[LimitStatus, ...]
    #: Likewise.
    rate_limits: tuple[RateLimitStatus, ...]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return why functions are late, or are going to be: what needs somebody at once comes first."""
        return self.problems_beyond(None)

    @property
    def healthy(self) -> bool:
        """Return whether nothing needs somebody at once: no problem is more than a warning."""
        return all(problem.is_warning for problem in self.problems)

    def problems_beyond(self, max_lag: float | None) -> tuple[Problem, ...]:
        """Return the problems if each queue may have this lag, in seconds; ``None``: what the setting says."""
        limits: list[LimitStatus | RateLimitStatus] = [*self.limits, *self.rate_limits]
        return find_problems(self.queues, self.executors, self.pauses, self.unknown_functions, limits, max_lag=max_lag)

    @property
    def pending(self) -> int:
        return sum(queue.pending for queue in self.queues)

    @property
    def due(self) -> int:
        return sum(queue.due for queue in self.queues)

    @property
    def lag(self) -> float:
        """Return for how long the oldest due function has been due that nobody is executing, in seconds.

        Outside of PostgreSQL an executing mutation counts too.
        """
        return max((queue.lag for queue in self.queues), default=0.0)

    @property
    def living_executors(self) -> int:
        return sum(executor.is_alive for executor in self.executors)

    @property
    def held_threads(self) -> int:
        """Return how many threads of living executors are held by bodies that do not end although their time is up."""
        return sum(executor.held_threads for executor in self.executors if executor.is_alive)


def status(using: str | None = None) -> Status:
    """Return what is going on now in the database of that alias; default: where ``ScheduledFunction`` is written to.

    Raises the database's error if it cannot be reached, or is not migrated.

    Example::

        for problem in status().problems:
            print(problem.message)
    """
    using = using or router.db_for_write(ScheduledFunction)
    waiting = queues(using)
    limits, rate_limits = limits_and_rate_limits(using)
    return Status(
        queues=waiting,
        pauses=pauses(using),
        running=running(using),
        ended_per_minute=ended_per_minute(using),
        executors=executors(using),
        unknown_functions=unknown_functions(using) if any(queue.has_unknown for queue in waiting) else (),
        open_batches=open_batches(using),
        limits=limits,
        rate_limits=rate_limits,
    )


def pauses(using: str) -> tuple[PauseStatus, ...]:
    """Return every pause, ordered by queue."""
    rows = Pause.objects.using(using).order_by("queue")
    return tuple(PauseStatus(**row) for row in rows.values("queue", "reason", "paused_by", "paused_time"))


def queues(using: str) -> tuple[QueueStatus, ...]:
    """Return the queues in which something is pending, ordered by name."""
    database = database_for(using)
    backlogs: dict[str, list[Backlog]] = {}
    lanes = database.lanes()
    paused = {lane.queue for lane in lanes if lane.is_paused}
    for queue, backlog in browsing.backlogs(database, lanes, count_to=MOST_COUNTED):
        backlogs.setdefault(queue, []).append(backlog)
    return tuple(
        QueueStatus(
            queue=queue,
            pending=_counted(backlog.pending for backlog in its_backlogs),
            due=_counted(backlog.due for backlog in its_backlogs),
            lag=max(backlog.lag for backlog in its_backlogs),
            is_paused=queue in paused,
            has_unknown=any(backlog.has_unknown for backlog in its_backlogs),
        )
        for queue, its_backlogs in sorted(backlogs.items())
    )


def unknown_functions(using: str) -> tuple[UnknownFunction, ...]:
    """Return what executors could not execute because their code is older, the longest unknown first."""
    rows = ScheduledFunction.objects.using(using).filter(unknown_since__isnull=False, state=State.PENDING)
    first_rows = rows.order_by("unknown_since", "pk").values_list("name", "queue", "unknown_since", "pk")
    found = list(first_rows[:MOST_UNKNOWN])
    counts = Counter((name, queue) for name, queue, _, _ in found)
    firsts = {(name, queue): (since, pk) for name, queue, since, pk in reversed(found) if since is not None}
    return tuple(
        UnknownFunction(
            name=name, queue=queue, count=count, since=firsts[name, queue][0], first_id=firsts[name, queue][1]
        )
        for (name, queue), count in counts.items()
    )


def running(using: str) -> int:
    """Return how many actions are being executed."""
    return ScheduledFunction.objects.using(using).filter(state=State.IN_PROGRESS).count()


def open_batches(using: str) -> int:
    """Return how many batches have members that have not ended, counted no further than ``MOST_COUNTED``."""
    # In the order of the index that finds them.
    rows = Batch.objects.using(using).filter(completed_time__isnull=True).order_by("completed_time")
    return rows[:MOST_COUNTED].count()


def limits_and_rate_limits(using: str) -> tuple[tuple[LimitStatus, ...], tuple[RateLimitStatus, ...]]:
    """Return what the code declares, what somebody has set, and what functions wait for, ordered by name."""
    database, declared, rates = database_for(using), registry.limits(), registry.rate_limits()
    changed = {
        limit.name: limit for limit in Limit.objects.using(using).order_by("pk")[: 2 * MOST_LIMITS]
    }  # both kinds
    waiting = limit_browsing.count_waiting_by_name(database, count_to=MOST_COUNTED)
    running = limit_browsing.count_held_by_name(database, look_at=SLOTS_LOOKED_AT)
    lengths = {name: rates[name].window for name in sorted(rates)[:MOST_LIMITS]}
    started = limit_browsing.count_starts_by_name(database, lengths, look_at=SLOTS_LOOKED_AT)
    names = sorted({*declared, *rates, *changed, *waiting, *running, *started})
    of_limits = (
        _limit_status(name, declared.get(name), changed.get(name), waiting.get(name), running.get(name, 0))
        for name in names
        if not is_rate(name)
    )
    of_rate_limits = (
        _rate_limit_status(name, rates.get(name), changed.get(name), waiting.get(name), started.get(name, 0))
        for name in names
        if is_rate(name)
    )
    return tuple(islice(of_limits, MOST_LIMITS)), tuple(islice(of_rate_limits, MOST_LIMITS))


def closed_limits(using: str) -> tuple[LimitStatus | RateLimitStatus, ...]:
    """Return the limits of both kinds that somebody has set to 0; what waits for them is not counted."""
    rows = Limit.objects.using(using).filter(number=0).order_by("pk")[:MOST_LIMITS]
    return tuple(
        (_rate_limit_status if is_rate(limit.name) else _limit_status)(limit.name, None, limit, None, 0)
        for limit in rows
    )


def _limit_status(
    name: str,
    declared: Concurrency | None,
    changed: Limit | None,
    waiting: limit_browsing.WaitingCount | None,
    running: int,
) -> LimitStatus:
    return LimitStatus(
        **_waited_for(name, declared, changed, waiting), concurrency=_number(declared, changed), running=running
    )


def _rate_limit_status(
    name: str,
    declared: RateLimit | None,
    changed: Limit | None,
    waiting: limit_browsing.WaitingCount | None,
    started: int,
) -> RateLimitStatus:
    return RateLimitStatus(
        **_waited_for(name, declared, changed, waiting),
        rate=_number(declared, changed),
        per=declared.per.total_seconds() if declared else None,
        started=started,
    )


def _number(declared: DeclaredLimit | None, changed: Limit | None) -> int | None:
    if changed is not None:
        return changed.number
    return declared.limit if declared else None


def _waited_for(
    name: str,
    declared: DeclaredLimit | None,
    changed: Limit | None,
    waiting: limit_browsing.WaitingCount | None,
) -> dict[str, Any]:
    return {
        "name": name_of_limit(name),
        "declared": declared.limit if declared else None,
        "changed_by": changed.changed_by if changed else "",
        "reason": changed.reason if changed else "",
        "changed_time": changed.changed_time if changed else None,
        "waiting": _counted([waiting.number]) if waiting else 0,
        "oldest": waiting.oldest if waiting else 0.0,
    }


def ended_per_minute(using: str) -> Ended:
    """Return how many functions have ended within the last minute."""
    a_minute_ago = database_for(using).ago(timedelta(minutes=1))
    functions = ScheduledFunction.objects.using(using).filter(completed_time__gt=a_minute_ago)
    ended = Counter(dict(functions.order_by().values_list("state").annotate(Count("pk"))))
    return Ended(succeeded=ended[State.SUCCESS], failed=ended[State.FAILED], canceled=ended[State.CANCELED])


def executors(using: str) -> tuple[ExecutorStatus, ...]:
    """Return every executor on record, also one whose process is gone and whose row has not been deleted yet."""
    rows = Executor.objects.using(using).annotate(now=database_for(using).now()).order_by("pk")
    return tuple(_executor_status(row) for row in rows)


def _executor_status(executor: Any) -> ExecutorStatus:
    silence = max(timedelta(0), executor.now - executor.heartbeat_time)
    running = tuple(
        # Only what is known here: an executor of another version may say more.
        RunningFunction(id=each["id"], name=each["name"], is_given_up=each.get("is_given_up", False))
        for each in executor.running
    )
    return ExecutorStatus(
        name=executor.name,
        host=executor.host,
        process_id=executor.process_id,
        queues=tuple(executor.queues),
        concurrency=executor.concurrency,
        started_time=executor.started_time,
        silence=silence.total_seconds(),
        is_alive=silence <= get_settings().HEARTBEAT_TIMEOUT,
        version=executor.version,
        running=running,
        held_threads=sum(each.is_given_up for each in running),
    )


def _counted(counts: Iterable[int]) -> int:
    return min(sum(counts), MOST_COUNTED)
