"""TODO."""

from django_scheduler.telemetry.log import log_of_crons, log_of_executors, report, show_log, warn

__all__ = [
    "log_of_crons",
    "log_of_executors",
    "report",
    "show_log",
    "warn",
]
