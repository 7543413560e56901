"""The log: others may watch by it what happens, and nothing fails because of it.

* ``log.py`` writes the log, where no logging is configured through ``standard_error.py``.
* ``secrets.py`` masks what looks like a secret.
* ``tracebacks.py`` has tracebacks begin at the function.
"""

from django_scheduler.telemetry import secrets
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
    "warn",
]
