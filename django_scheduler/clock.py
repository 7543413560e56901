"""Whose clock says what is due: the database's, which all hosts share, or ``timezone.now()``, which tests can move."""

from collections.abc import Iterator
from contextlib import contextmanager

from django_scheduler.conf import get_settings

_tests = 0


def is_pythons() -> bool:
    """Whether nothing but ``django.utils.timezone.now()`` is asked."""
    return _tests > 0 or get_settings().CLOCK == "python"


@contextmanager
def pythons_clock() -> Iterator[None]:
    """Within it that is so, whatever ``DJANGO_SCHEDULER["CLOCK"]`` says: in all threads, for tests."""
    global _tests
    _tests += 1
    try:
        yield
    finally:
        _tests -= 1
