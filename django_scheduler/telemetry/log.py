"""Write the log, and never raise: an error of a handler must not look like an error of what was logged.

Logging changes no outcome. The end of a function is logged only once it is on record. The ``extra`` keys are documented
in ``docs/logging.md`` and do not change.
"""

import logging
import threading
import traceback
from contextlib import suppress
from functools import partial
from typing import Any

from django_scheduler.telemetry.standard_error import StandardErrorHandler
from django_scheduler.telemetry.tracebacks import from_the_body_on

logger = logging.getLogger("django_scheduler")


def log(
    logger: logging.Logger,
    level: int,
    message: str,
    *arguments: object,
    error: BaseException | None = None,
    **extra: Any,
) -> None:
    """Log a message, with the traceback of ``error``, and with ``extra`` as attributes; never raise."""
    try:
        exc_info = None if error is None else (type(error), error, from_the_body_on(error))
        logger.log(level, message, *arguments, exc_info=exc_info, extra=extra)
    except BaseException as raised:
        # What a handler shows may raise anything. Only the main thread is sent Ctrl-C.
        if isinstance(raised, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            raise
        with suppress(BaseException):  # standard error may be closed, and what was raised cannot be shown either
            traceback.print_exc()


#: Logs a warning.
warn = partial(log, logger, logging.WARNING)

#: Logs an error.
report = partial(log, logger, logging.ERROR)

#: Logs, at the level that is given, what concerns executors and what they execute.
log_of_executors = partial(log, logging.getLogger("django_scheduler.executor"))

#: Logs, at the level that is given, what concerns crons.
log_of_crons = partial(log, logging.getLogger("django_scheduler.crons"))


def show_log(verbosity: int) -> None:
    """Log to standard error, a line per finished function, where no logging is configured."""
    if verbosity and not logger.hasHandlers():
        handler = StandardErrorHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
