"""One line in the log for each function that ended, and one for each retry.

The ``extra`` keys are documented in ``docs/logging.md`` and do not change. A handler that raises changes no
outcome: everything is decided, and recorded, before it is logged.
"""

import logging
import traceback
from contextlib import suppress
from typing import Any

logger = logging.getLogger("django_scheduler.executor")


def log_failure(message: str, error: BaseException) -> None:
    """Log what should not have happened."""
    log(logging.ERROR, message, error, error=error)


def log(level: int, message: str, *arguments: object, error: BaseException | None = None, **extra: Any) -> None:
    """Log, and survive whatever a handler does."""
    try:
        logger.log(level, message, *arguments, exc_info=error, extra=extra)
    except (Exception, SystemExit):
        with suppress(Exception):  # standard error may be closed
            traceback.print_exc()


def show_log(verbosity: int) -> None:
    """Without any logging configuration, a line per finished function still goes to standard error."""
    package = logging.getLogger("django_scheduler")
    if verbosity and not package.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        package.addHandler(handler)
        package.setLevel(logging.INFO)
