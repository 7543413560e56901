"""The log, which cannot fail: what a handler raises must not look like an error of what was logged.

So it changes no outcome either: everything is decided, and recorded, before it is logged. The ``extra`` keys are
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
    """Log a warning, and survive whatever a handler does."""
    _log(logger, logging.WARNING, message, arguments, error, extra)


def report(message: str, *arguments: object, error: BaseException | None = None, **extra: Any) -> None:
    """Log an error, and survive whatever a handler does."""
    _log(logger, logging.ERROR, message, arguments, error, extra)


def log_of_executors(
    level: int, message: str, *arguments: object, error: BaseException | None = None, **extra: Any
) -> None:
    """Log what concerns executors and what they execute, and survive whatever a handler does."""
    _log(executors_logger, level, message, arguments, error, extra)


def log_of_crons(
    level: int, message: str, *arguments: object, error: BaseException | None = None, **extra: Any
) -> None:
    """Log what concerns crons, and survive whatever a handler does."""
    _log(crons_logger, level, message, arguments, error, extra)


def show_log(verbosity: int) -> None:
    """Without any logging configuration, a line per finished function still goes to standard error."""
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
