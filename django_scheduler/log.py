"""Logging that cannot fail: what a handler raises must not look like an error of what was logged."""

import logging
import traceback
from typing import Any

logger = logging.getLogger("django_scheduler")


def warn(message: str, *arguments: object, error: BaseException | None = None, **extra: Any) -> None:
    """Log a warning, and survive whatever a handler does."""
    _log(logging.WARNING, message, *arguments, error=error, **extra)


def report(message: str, *arguments: object, error: BaseException | None = None, **extra: Any) -> None:
    """Log an error, and survive whatever a handler does."""
    _log(logging.ERROR, message, *arguments, error=error, **extra)


def _log(level: int, message: str, *arguments: object, error: BaseException | None, **extra: Any) -> None:
    try:
        logger.log(level, message, *arguments, exc_info=error, extra=extra)
    except Exception:
        traceback.print_exc()
