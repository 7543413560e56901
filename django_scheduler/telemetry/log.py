"""Write the log, and never raise: an error of a handler must not look like an error of what was logged.

Logging changes no outcome. The end of a function is logged only once it is on record. The ``extra`` keys are documented
in ``docs/logging.md`` and do not change.
"""

import logging
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from django_scheduler.telemetry.secrets import mask_text
from django_scheduler.telemetry.standard_error import StandardErrorHandler

#: Hides secrets in a text.
Mask = Callable[[str], str]

#: How much of an error or a traceback is logged, in characters.
LONGEST_TEXT = 50_000

logger = logging.getLogger("django_scheduler")


def log(
    logger: logging.Logger,
    level: int,
    message: str,
    *arguments: object,
    error: BaseException | None = None,
    mask: Mask = mask_text,
    **extra: Any,
) -> None:
    """Log a message, with the traceback of ``error``, and with ``extra`` as attributes; never raise.

    Nothing in it begins a line: what names and errors hold of line breaks and escape sequences is written out, and
    the traceback is indented. ``mask`` hides secrets in errors.
    """
    try:
        if not logger.isEnabledFor(level):
            return
        path, line, caller, _ = logger.findCaller()
        exception = (type(error), error, error.__traceback__) if error is not None else None
        shown = tuple(_as_told(each, mask) if error is not None else _shown(each, mask) for each in arguments)
        keys = {key: _key(value) for key, value in extra.items()}
        record = logger.makeRecord(logger.name, level, path, line, one_line(message), shown, exception, caller, keys)
        if error is not None:
            record.exc_text = _shown_traceback(error, mask)
        logger.handle(record)
    except BaseException as raised:
        # What a handler shows may raise anything. Only the main thread is sent Ctrl-C.
        if isinstance(raised, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            raise
        with suppress(BaseException):  # standard error may be closed, and what was raised cannot be shown either
            traceback.print_exc()


def one_line(text: str) -> str:
    """Return a text in which all that cannot be seen, line breaks and escape sequences among it, is written out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _shown(value: object, mask: Mask) -> object:
    if isinstance(value, str):
        return value if value.isprintable() else one_line(value)
    return value if value is None or isinstance(value, int | float) else _Shown(value, mask)


def _key(value: object) -> object:
    if isinstance(value, list):
        return [_key(item) for item in value]
    return one_line(value) if isinstance(value, str) else value


def _as_told(value: object, mask: Mask) -> object:
    """Return what is logged along with an error, which may be its own words."""
    return one_line(mask(_bounded(value))) if isinstance(value, str) else _shown(value, mask)


class _Shown:
    """Is logged in one line and with secrets masked: an error, or anything else that has words of its own."""

    __slots__ = ("_mask", "_value")

    def __init__(self, value: object, mask: Mask) -> None:
        self._value = value
        self._mask = mask

    def __str__(self) -> str:
        return one_line(self._mask(_bounded(str(self._value))))

    def __repr__(self) -> str:
        return one_line(self._mask(_bounded(repr(self._value))))


def _shown_traceback(error: BaseException, mask: Mask) -> str:
    try:
        text = "".join(traceback.format_exception(error))
    except BaseException:  # which may be raised by the error itself
        return f"  The traceback of {type(error).__qualname__} cannot be shown"
    lines = mask(_bounded(text)).strip("\n").split("\n")
    return "\n".join(f"  {one_line(line)}" for line in lines)


def _bounded(text: str) -> str:
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[: LONGEST_TEXT // 2]}\n[...]\n{text[-LONGEST_TEXT // 2 :]}"


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
