"""The record of an exception: its type, message and traceback, in a form that can be stored, of bounded size."""

import traceback
from types import TracebackType
from typing import Any

LONGEST_ERROR = 10_000
LONGEST_TRACEBACK = 50_000

#: The modules through which every body is called.
CALLING_MODULES = ("django_scheduler.", "asgiref.", "asyncio.", "concurrent.futures.")


def describe(error: BaseException) -> dict[str, str]:
    """Return the columns ``error`` and ``traceback`` for an exception."""
    return {
        "error": _storable(_error_text(error), LONGEST_ERROR),
        "traceback": _storable(_traceback_text(error), LONGEST_TRACEBACK),
    }


def clear_frames(error: BaseException) -> None:
    """Release what the frames hold through which the error, and what it came from, have passed."""
    seen: set[int] = set()
    errors = [error]
    while errors:
        each = errors.pop()
        if id(each) not in seen:
            seen.add(id(each))
            traceback.clear_frames(each.__traceback__)
            errors += [cause for cause in (each.__cause__, each.__context__) if cause is not None]


def in_ascii(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the same in ASCII, for a database whose character set has refused the description of an error."""
    return {
        column: value.encode("ascii", "backslashreplace").decode() if column in ("error", "traceback") else value
        for column, value in changes.items()
    }


def _error_text(error: BaseException) -> str:
    try:
        text = str(error)
    except BaseException:  # an exception's own __str__ may raise, anything
        text = "(its message cannot be shown)"
    name = type(error).__qualname__
    return f"{name}: {text}" if text else name


def _traceback_text(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(type(error), error, _from_the_body_on(error.__traceback__)))
    except BaseException:
        return "".join(traceback.format_tb(error.__traceback__))


def _from_the_body_on(frames: TracebackType | None) -> TracebackType | None:
    """Return the frames from the body on, or all of them if there is no body."""
    rest = frames
    while rest and rest.tb_frame.f_globals.get("__name__", "").startswith(CALLING_MODULES):
        rest = rest.tb_next
    return rest or frames


def _storable(text: str, longest: int) -> str:
    """Return text that every database takes: no NUL, no lone surrogate, nothing of more than three bytes in UTF-8."""
    text = _shortened(text, longest)
    if not text.isascii():
        text = "".join(c if c <= "\uffff" else f"\\U{ord(c):08x}" for c in text)
    return _shortened(text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8"), longest)


def _shortened(text: str, longest: int) -> str:
    """Return text without its middle: a traceback begins with where an error comes from and ends with what it is."""
    if len(text) <= longest:
        return text
    cut = "\n[...]\n"
    half = (longest - len(cut)) // 2
    return text[:half] + cut + text[-half:]
