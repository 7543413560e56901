"""The log and the tracer: what others may watch, and what cannot fail because of them.

* ``log.py`` writes the log.
* ``tracing.py`` is where a tracer is plugged in.
"""

from django_scheduler.telemetry.log import log_of_crons, log_of_executors, report, show_log, warn

__all__ = [
    "log_of_crons",
    "log_of_executors",
    "report",
    "show_log",
    "warn",
]
