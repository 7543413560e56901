"""Logging that cannot fail: what a handler raises must not look like an error of what was logged."""

import logging
import traceback
from typing import Any

logger = logging.getLogger("django_scheduler")
crons_logger = logging.getLogger("django_scheduler.crons")


def warn(message: str, *arguments: object, error: BaseException | None = None, **extra: Any) -> None:
    """Log a warning, and survive whatever a handler does."""
    _log(logger, logging.WARNING, message, arguments, error, extra)


def report(message: str, *arguments: object, error: BaseException | None = None, **extra: Any) -> None:
    """Log an error, and survive whatever a handler does."""
    _log(logger, logging.ERROR, message, arguments, error, extra)


def log_of_crons(
    level: int, message: str, *arguments: object, error: BaseException | None = None, **extra: Any
) -> None:
    """Log what concerns crons, and survive whatever a handler does."""
    _log(crons_logger, level, message, arguments, error, extra)


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
    except Exception:
        traceback.print_exc()
