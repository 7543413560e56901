"""``status()`` says what is going on now and what is wrong: for commands, the admin, metrics and the health view.

* ``reading.py`` reads it from the database.
* ``snapshot.py`` describes what was read.
* ``problems.py`` finds in it why functions are late, or are going to be.
* ``known_queues.py`` says which queues there are.
"""

from django_scheduler.status.known_queues import queues_on_record
from django_scheduler.status.problems import LATE_AFTER, Problem, ProblemCode, find_problems
from django_scheduler.status.reading import (
    MOST_COUNTED,
    Status,
    closed_limits,
    ended_per_minute,
    executors,
    limits_and_rate_limits,
    open_batches,
    pauses,
    queues,
    running,
    status,
    unknown_functions,
)
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

__all__ = [
    "LATE_AFTER",
    "MOST_COUNTED",
    "Ended",
    "ExecutorStatus",
    "LimitStatus",
    "PauseStatus",
    "Problem",
    "ProblemCode",
    "QueueStatus",
    "RateLimitStatus",
    "RunningFunction",
    "Status",
    "UnknownFunction",
    "closed_limits",
    "ended_per_minute",
    "executors",
    "find_problems",
    "limits_and_rate_limits",
    "open_batches",
    "pauses",
    "queues",
    "queues_on_record",
    "running",
    "status",
    "unknown_functions",
]
