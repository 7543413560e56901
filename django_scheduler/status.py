"""``status()`` says what is going on now: for ``manage.py scheduler_status``, the admin, and metrics.

It locks nothing and costs little, whatever is on record: each lane is looked up in the index of what is pending, and a
count of pending functions stops at ``MOST_COUNTED``. (Measured on PostgreSQL with a million pending functions: 16 ms;
it would be 80 if all of them were counted.)

Lag is the age of the oldest due function that nobody is executing. An action that executes is not pending. A mutation
that executes is, because nothing is committed yet. PostgreSQL shows which row its transaction holds, so there it does
not count. Elsewhere nothing shows it, so for as long as a mutation executes it counts as due: one that executes for ten
seconds looks like a lag of ten seconds. So lag may be reported too long, and never too short.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import router
from django.db.models import Count

from django_scheduler.conf import get_settings
from django_scheduler.databases import Backlog, browsing, database_for
from django_scheduler.models import Executor, Pause, ScheduledFunction, State

#: Counts end here: a number as large as this means so many, or more.
MOST_COUNTED = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatus:
    """Says what waits in one queue."""

    queue: str
    #: How many functions are pending, whether they are due or not. A mutation that is executing is one of them.
    pending: int
    #: How many of these are due.
    due: int
    #: For how long the oldest due function has been due that nobody is executing (outside of PostgreSQL an executing
    #: mutation counts too), in seconds.
    lag: float
    #: Whether it is paused, by itself or with every queue.
    is_paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseStatus:
    """Says what is paused, by whom, and why."""

    #: Its name; empty for every queue.
    queue: str
    reason: str
    paused_by: str
    paused_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningFunction:
    """Names a function whose body was running at the last heartbeat of its executor."""

    id: int
    name: str
    #: Whether its time was up and it did not end. It is on record as failed, and holds a thread until it returns.
    is_given_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorStatus:
    """Describes one executor on record."""

    name: str
    host: str
    process_id: int
    queues: tuple[str, ...]
    concurrency: int
    started_time: datetime
    #: How long ago its last heartbeat was, in seconds, by the clock that says what is due.
    silence: float
    #: Whether that is no longer ago than ``HEARTBEAT_TIMEOUT``.
    is_alive: bool
    #: The version of this app.
    version: str
    #: What it was executing at its last heartbeat. Only here mutations are shown that are executing.
    running: tuple[RunningFunction, ...]
    #: How many of its threads are held by bodies that do not end although their time is up.
    held_threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Says how many functions have ended within the last minute."""

    succeeded: int
    failed: int
    canceled: int

    @property
    def finished(self) -> int:
        """Return how many have succeeded or failed."""
        return self.succeeded + self.failed


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
    def unwanted_lag(self) -> float:
        """Return the lag of the queues that are not paused, in seconds."""
        return max((queue.lag for queue in self.queues if not queue.is_paused), default=0.0)

    @property
    def living_executors(self) -> int:
        return sum(executor.is_alive for executor in self.executors)

    @property
    def held_threads(self) -> int:
        """Return how many threads of living executors are held by bodies that do not end although their time is up."""
        return sum(executor.held_threads for executor in self.executors if executor.is_alive)


def status(using: str | None = None) -> Status:
    """Return what is going on now in the database of that alias; default: where ``ScheduledFunction`` is read from.

    Raises the database's error if it cannot be reached, or is not migrated.

    Example::

        if status().lag > 60:
            ...
    """
    using = using or router.db_for_read(ScheduledFunction)
    return Status(
        queues=queues(using),
        pauses=pauses(using),
        running=running(using),
        ended_per_minute=ended_per_minute(using),
        executors=executors(using),
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
    for lane, backlog in zip(lanes, browsing.backlogs(database, lanes, count_to=MOST_COUNTED), strict=True):
        backlogs.setdefault(lane.queue, []).append(backlog)
    return tuple(
        QueueStatus(
            queue=queue,
            pending=_counted(backlog.pending for backlog in lanes),
            due=_counted(backlog.due for backlog in lanes),
            lag=max(backlog.lag for backlog in lanes),
            is_paused=queue in paused,
        )
        for queue, lanes in sorted(backlogs.items())
    )


def running(using: str) -> int:
    """Return how many actions are being executed."""
    return ScheduledFunction.objects.using(using).filter(state=State.IN_PROGRESS).count()


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
        # Not whatever it says: an executor of a later version may say more.
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
