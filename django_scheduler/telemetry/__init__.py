"""The log and the tracer: others may watch by them what happens, and nothing fails because of them.

* ``log.py`` writes the log, where no logging is configured through ``standard_error.py``.
* ``tracing.py`` is where a tracer is plugged in.
"""

from django_scheduler.telemetry import tracing
from django_scheduler.telemetry.log import log_of_crons, log_of_executors, report, show_log, warn

__all__ = [
    "log_of_crons",
    "log_of_executors",
    "report",
    "show_log",
    "tracing",
    "warn",
]
