"""The log and the tracer: others may watch by them what happens, and nothing fails because of them.

* ``log.py`` writes the log, where no logging is configured through ``standard_error.py``.
* ``secrets.py`` masks what looks like a secret.
* ``tracebacks.py`` has tracebacks begin at the function.
* ``tracing.py`` is where a tracer is plugged in.
"""

from django_scheduler.telemetry import secrets, tracing
from django_scheduler.telemetry.log import (
    log_each_of_executors,
    log_of_crons,
    log_of_executors,
    one_line,
    report,
    show_log,
    warn,
)
from django_scheduler.telemetry.tracebacks import from_the_body_on, traceback_of

__all__ = [
    "from_the_body_on",
    "log_each_of_executors",
    "log_of_crons",
    "log_of_executors",
    "one_line",
    "report",
    "secrets",
    "show_log",
    "traceback_of",
    "tracing",
    "warn",
]
