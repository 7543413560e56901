"""Write the log, and never raise: an error of a handler must not look like an error of what was logged.

Logging changes no outcome: everything is decided, and on record, before it is logged. The ``extra`` keys are
documented in ``docs/logging.md`` and do not change.
"""

import logging
import traceback
from contextlib import suppress
from typing import Any

logger = logging.getLogger("django_scheduler")
executors_logger = logging.getLogger("django_scheduler.executor")
crons_logger = logging.getLogger("django_scheduler.crons")


def warn(message: str, *arguments: object, error: BaseException | None = None, **extra: Any) -> None:
    """Log a warning; never raise, whatever a handler does."""
    _log(logger, logging.WARNING, message, arguments, error, extra)


def report(message: str, *arguments: object, error: BaseException | None = None, **extra: Any) -> None:
    """Log an error; never raise, whatever a handler does."""
    _log(logger, logging.ERROR, message, arguments, error, extra)


def log_of_executors(
    level: int, message: str, *arguments: object, error: BaseException | None = None, **extra: Any
) -> None:
    """Log what concerns executors and what they execute; never raise."""
    _log(executors_logger, level, message, arguments, error, extra)


def log_of_crons(
    level: int, message: str, *arguments: object, error: BaseException | None = None, **extra: Any
) -> None:
    """Log what concerns crons; never raise."""
    _log(crons_logger, level, message, arguments, error, extra)


def show_log(verbosity: int) -> None:
    """Log to standard error, a line per finished function, where no logging is configured."""
    if verbosity and not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


def _log(
    logger: logging.Logger,
    level: int,
    message: str,
    arguments: tuple[object, ...],
    error: BaseException | None,
    extra: dict[str, Any],
) -> None:
    try:
        logger.log(level, message, *arguments, exc_info=error, extra=extra)
    except (Exception, SystemExit):
        with suppress(Exception):  # standard error may be closed
            traceback.print_exc()
