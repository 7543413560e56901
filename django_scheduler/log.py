"""Logging that cannot fail: what a handler raises must not look like an error of what was logged."""

import logging
import traceback
from typing import Any

logger = logging.getLogger("django_scheduler")


def warn(message: str, *arguments: object, error: BaseException | None = None, **extra: Any) -> None:
    """Log a warning, and survive whatever a handler does."""
    try:
        logger.warning(message, *arguments, exc_info=error, extra=extra)
    except Exception:
        traceback.print_exc()
