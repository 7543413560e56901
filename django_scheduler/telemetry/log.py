"""Write the log, and never raise: an error of a handler must not look like an error of what was logged.

Logging changes no outcome. The end of a function is logged only once it is on record. The ``extra`` keys are documented
in ``docs/logging.md`` and do not change.
"""

import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from types import FrameType, TracebackType
from typing import Any

from django_scheduler.telemetry.secrets import mask_text
from django_scheduler.telemetry.standard_error import StandardErrorHandler
from django_scheduler.telemetry.tracebacks import from_the_body_on

#: Hides secrets in a text.
Mask = Callable[[str], str]

#: What ``logging`` takes for the exception of a record.
ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None]

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
        caller = sys._getframe(1)
        if error is None:
            logger.handle(_record(logger, level, caller, message, _shown_all(arguments, mask), extra))
            return
        shown = tuple([_as_told(each, mask) for each in arguments])
        exception = type(error), error, from_the_body_on(error)
        record = _record(logger, level, caller, message, shown, extra, exception)
        record.exc_text = _shown_traceback(error, mask)
        logger.handle(record)
    except BaseException as raised:
        _print(raised)


def log_each(
    logger: logging.Logger, level: int, message: str, lines: Iterable[tuple[Iterable[object], Mapping[str, object]]]
) -> None:
    """Log a message several times, each time with arguments and ``extra`` of its own, as ``log`` does; never raise.

    All lines are of one moment and one thread, so what a record says of these is found out once: that is half of what
    it takes to make a record.
    """
    if not logger.isEnabledFor(level):
        return
    caller = sys._getframe(1)
    is_copied = logging.getLogRecordFactory() is logging.LogRecord
    made: dict[str, object] = {}
    for arguments, extra in lines:
        try:
            shown = _shown_all(arguments, mask_text)
            if not made or not is_copied:
                record = _record(logger, level, caller, message, shown, extra)
                made = {**vars(record)}  # before filters and handlers change the record
            else:
                record = logging.LogRecord.__new__(logging.LogRecord)
                record.__dict__ = {**made, "args": shown, **_keys(extra)}
            logger.handle(record)
        except BaseException as raised:
            _print(raised)


def _record(
    logger: logging.Logger,
    level: int,
    caller: FrameType,
    message: str,
    shown: tuple[object, ...],
    extra: Mapping[str, object],
    exception: ExceptionInfo | None = None,
) -> logging.LogRecord:
    path, name = caller.f_code.co_filename, caller.f_code.co_name
    text, keys = one_line(message), _keys(extra)
    return logger.makeRecord(logger.name, level, path, caller.f_lineno, text, shown, exception, name, keys)


def _print(raised: BaseException) -> None:
    """Print what logging has raised, because it cannot be logged."""
    # What a handler shows may raise anything. Only the main thread is sent Ctrl-C.
    if isinstance(raised, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
        raise raised
    with suppress(BaseException):  # standard error may be closed, and what was raised cannot be shown either
        traceback.print_exception(raised)


def one_line(text: str) -> str:
    """Return a text in which all that cannot be seen, line breaks and escape sequences among it, is written out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


#: Numbers are logged as they are, and so is text of one line. It is asked in place whether a value is such: to call a
#: function for each of the 15 values of a line takes 1 µs.
_NUMBERS = (int, float)


def _shown(value: object, mask: Mask) -> object:
    if isinstance(value, str):
        return one_line(value)
    return value if value is None or isinstance(value, int | float) else _Shown(value, mask)


def _shown_all(arguments: Iterable[object], mask: Mask) -> tuple[object, ...]:
    return tuple(
        [
            each if type(each) in _NUMBERS or (type(each) is str and each.isprintable()) else _shown(each, mask)
            for each in arguments
        ]
    )


def _keys(extra: Mapping[str, object]) -> dict[str, object]:
    return {
        key: value if type(value) in _NUMBERS or (type(value) is str and value.isprintable()) else _key(value)
        for key, value in extra.items()
    }


def _key(value: object) -> object:
    if isinstance(value, str):
        return one_line(value)
    return [_key(item) for item in value] if isinstance(value, list) else value


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
        text = "".join(traceback.format_exception(type(error), error, from_the_body_on(error)))
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

#: Logs several messages of that kind.
log_each_of_executors = partial(log_each, logging.getLogger("django_scheduler.executor"))

#: Logs, at the level that is given, what concerns crons.
log_of_crons = partial(log, logging.getLogger("django_scheduler.crons"))


def show_log(verbosity: int) -> None:
    """Log to standard error, a line per finished function, where no logging is configured."""
    if verbosity and not logger.hasHandlers():
        logger.addHandler(StandardErrorHandler())
        logger.setLevel(logging.INFO)
