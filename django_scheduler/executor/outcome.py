"""What is recorded of an exception: its type and message, and its traceback, storable and of bounded size."""

import traceback

LONGEST_ERROR = 10_000
LONGEST_TRACEBACK = 50_000


def describe(error: BaseException) -> dict[str, str]:
    """The columns ``error`` and ``traceback``."""
    return {
        "error": _error_text(error)[:LONGEST_ERROR],
        "traceback": _traceback_text(error)[-LONGEST_TRACEBACK:],
    }


def _error_text(error: BaseException) -> str:
    try:
        message = str(error)
    except Exception:  # an exception's own __str__ may raise
        message = "(its message cannot be shown)"
    name = type(error).__qualname__
    return _storable(f"{name}: {message}" if message else name)


def _traceback_text(error: BaseException) -> str:
    try:
        return _storable("".join(traceback.format_exception(error)))
    except Exception:
        return ""


def _storable(text: str) -> str:
    """Text that every database takes: no NUL, no lone surrogates, nothing outside a three-byte character set."""
    text = "".join(c if c <= "\uffff" else f"\\U{ord(c):08x}" for c in text) if not text.isascii() else text
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")
