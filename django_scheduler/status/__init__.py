"""``status()`` says what is going on now and what is wrong: for commands, the admin, metrics and the health view.

* ``reading.py`` reads it from the database.
* ``snapshot.py`` describes what was read.
* ``problems.py`` finds in it why functions are late, or are going to be.
"""

from django_scheduler.status.problems import LATE_AFTER, Problem, ProblemCode, find_problems
from django_scheduler.status.reading import (
    MOST_COUNTED,
    Status,
    ended_per_minute,
    executors,
    pauses,
    queues,
    running,
    status,
    unknown_functions,
)
from django_scheduler.status.snapshot import (
    Ended,
    ExecutorStatus,
    PauseStatus,
    QueueStatus,
    RunningFunction,
    UnknownFunction,
)

__all__ = [
    "LATE_AFTER",
    "MOST_COUNTED",
    "Ended",
    "ExecutorStatus",
    "PauseStatus",
    "Problem",
    "ProblemCode",
    "QueueStatus",
    "RunningFunction",
    "Status",
    "UnknownFunction",
    "ended_per_minute",
    "executors",
    "find_problems",
    "pauses",
    "queues",
    "running",
    "status",
    "unknown_functions",
]
