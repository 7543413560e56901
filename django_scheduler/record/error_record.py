"""The record of an exception: its type, message and traceback, in a form that can be stored, of bounded size."""

import re
import traceback
from collections.abc import Iterator
from types import CodeType, TracebackType
from typing import Any

from django_scheduler import values
from django_scheduler.telemetry import from_the_body_on, traceback_of

LONGEST_ERROR = 10_000
LONGEST_TRACEBACK = 50_000

#: Of an end whose description the database has refused, in whatever form.
NOT_DESCRIBED = "It is not described here, because the database refused that. The log of the executor says more."

#: From where a word begins: otherwise a long word would be looked through from each of its letters.
WORDS_WITH_DIGITS = re.compile(r"(?<![\w-])[\w-]*\d[\w-]*")

# An exception may be of a class that answers in its own way to all that is asked of it; these ask nothing of it.
_qualname = vars(type)["__qualname__"].__get__
_cause, _context = (vars(BaseException)[name].__get__ for name in ("__cause__", "__context__"))
_set_context = vars(BaseException)["__context__"].__set__


def describe(error: BaseException) -> dict[str, str]:
    """Return the columns ``error`` and ``traceback`` for an exception; never raise, whatever the exception does."""
    return {
        "error": _storable(_error_text(error), LONGEST_ERROR),
        "traceback": _storable(_traceback_text(error), LONGEST_TRACEBACK),
    }


def clear_frames(error: BaseException) -> None:
    """Release what the frames hold through which the error, and what it came from, have passed."""
    for each in _with_causes(error):
        traceback.clear_frames(traceback_of(each))


def forget_traceback(error: BaseException) -> None:
    """Take from the error, and from what it came from, where it was raised and what was handled then.

    A project may keep an exception and raise it again and again. Python adds to its traceback each time. So the next
    function's record would show where this one was, and all of their frames would be kept.
    """
    for each in _with_causes(error):
        BaseException.with_traceback(each, None)
        _set_context(each, None)


def _with_causes(error: BaseException) -> list[BaseException]:
    found: dict[int, BaseException] = {}
    errors = [error]
    while errors:
        each = errors.pop()
        if id(each) not in found:
            found[id(each)] = each
            errors += [cause for cause in (_cause(each), _context(each)) if cause is not None]
    return list(found.values())


def in_ascii(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the changes with the error in ASCII, for a database whose character set has refused its description."""
    return {
        column: value.encode("ascii", "backslashreplace").decode() if column in ("error", "traceback") else value
        for column, value in changes.items()
    }


def is_same(error: str, other: str) -> bool:
    """Return whether two descriptions are of the same error, whatever the numbers in them (ids, UUIDs, times)."""
    return WORDS_WITH_DIGITS.sub("", error) == WORDS_WITH_DIGITS.sub("", other)


def in_plain_words(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the changes without anything that comes from the function, for a database that has refused that."""
    plain: dict[str, Any] = {"error": NOT_DESCRIBED, "traceback": "", "result": values.dump_result(NOT_DESCRIBED)}
    if history := changes.get("history"):
        plain["history"] = [*history[:-1], {**history[-1], "error": NOT_DESCRIBED}]
    return {column: plain.get(column, value) if value else value for column, value in changes.items()}


def _error_text(error: BaseException) -> str:
    try:
        text = str.__str__(str(error))  # a str, and not a subclass whose methods raise
    except BaseException:  # an exception's own __str__ may raise, anything
        text = "(its message cannot be shown)"
    name = str.__str__(_qualname(type(error)))
    return f"{name}: {text}" if text else name


def _traceback_text(error: BaseException) -> str:
    frames = from_the_body_on(error)
    try:
        return "".join(traceback.format_exception(type(error), error, frames))
    except BaseException:
        # Without the lines of the source, for which a module's own loader may be asked.
        places = [f"  File {code.co_filename}, line {line}, in {code.co_name}" for code, line in _places(frames)]
        return "\n".join(["Traceback (most recent call last):", *places])


def _places(frames: TracebackType | None) -> Iterator[tuple[CodeType, int]]:
    while frames is not None:
        yield frames.tb_frame.f_code, frames.tb_lineno
        frames = frames.tb_next


def _storable(text: str, longest: int) -> str:
    """Return text that every database takes: no NUL, no lone surrogate, nothing of more than three bytes in UTF-8."""
    text = shortened(text, longest)
    if not text.isascii():
        text = "".join(c if c <= "\uffff" else f"\\U{ord(c):08x}" for c in text)
    return shortened(text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8"), longest)


def shortened(text: str, longest: int) -> str:
    """Return text without its middle: a traceback begins with where an error comes from and ends with what it is."""
    if len(text) <= longest:
        return text
    cut = "\n[...]\n"
    half = (longest - len(cut)) // 2
    return text[:half] + cut + text[-half:]
