"""The clock of a test stands still until it is moved.

``django.utils.timezone.now()`` is the only clock that is asked. Where freezegun or time-machine is active, the time is
theirs, and is moved through them. Where neither is, ``timezone.now()`` itself stands still. The function gets other
code instead of being replaced, so that ``default=timezone.now`` and modules that have imported it by name see the same
time. ``datetime.now()`` and ``time.time()`` go on then; tests that need those use one of the two libraries.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import FunctionType
from typing import Any

from django.utils import timezone

_django: Any = timezone.now
_original_code = _django.__code__
#: Returns the time as Django does without us; with freezegun or time-machine it is theirs.
_django_now = FunctionType(_original_code, _django.__globals__, "now")

_stopped_at: datetime | None = None


def now() -> datetime:
    """Return what ``timezone.now()`` returns within ``standing_still``."""
    return _django_now() if _stopped_at is None or _is_another_library_active() else _stopped_at


def is_still() -> bool:
    """Return whether time stands still; otherwise it goes on while the test runs."""
    return timezone.now() == timezone.now()


def move(duration: timedelta) -> None:
    """Move the time forward by a duration.

    Raises ``RuntimeError`` if time cannot be moved.
    """
    global _stopped_at
    before = timezone.now()
    if freezer := _freezer():
        freezer.move_to(freezer() + duration)  # tick() of one that ticks forgets the time that has passed
    elif traveller := _traveller():
        traveller.shift(duration)
    elif _stopped_at is not None:
        _stopped_at += duration
    if timezone.now() < before + duration:
        if _stopped_at is None and not _is_another_library_active():
            raise RuntimeError(
                f"The time could not be moved by {duration}, because it does not stand still. Use ManualScheduler in a"
                " with block, SchedulerTestMixin, or the fixture scheduler."
            )
        raise RuntimeError(
            f"The time could not be moved by {duration}: something else than freezegun, time-machine or"
            " django_scheduler.testing decides what timezone.now() says."
        )


@contextmanager
def standing_still() -> Iterator[None]:
    """Let time stand still, unless freezegun or time-machine is active."""
    global _stopped_at
    before, _stopped_at = _stopped_at, timezone.now().astimezone(UTC)
    _django.__code__ = _now_in_test.__code__
    try:
        yield
    finally:
        _stopped_at = before
        if before is None:
            _django.__code__ = _original_code


def _now_in_test() -> datetime:
    # Its code runs with the globals of django.utils.timezone, so it imports what it needs.
    from django_scheduler.testing.clock import now as now_in_test

    return now_in_test()


def _is_another_library_active() -> bool:
    return bool(_freezer() or _traveller())


def _freezer() -> Any:
    return _last("freezegun.api", "freeze_factories")


def _traveller() -> Any:
    return _last("time_machine", "traveller_stack") or _last("time_machine", "coordinates_stack")


def _last(module_name: str, stack_name: str) -> Any:
    """Return what was started last of what is active, or ``None``; the library may not even be imported."""
    stack = getattr(sys.modules.get(module_name), stack_name, None)
    return stack[-1] if stack else None
