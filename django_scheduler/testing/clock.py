"""The clock of a test: it stands still until it is moved.

``django.utils.timezone.now()`` is the only clock that is asked. Where freezegun or time-machine is in charge, theirs
is the time, and it is theirs that is moved. Where neither is, ``timezone.now()`` itself stands still. It is given
other code, rather than being replaced, so that ``default=timezone.now`` and whoever has imported it by name are told
the same time. ``datetime.now()`` and ``time.time()`` go on then: who needs those too takes one of the two libraries.
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
#: What Django says where nobody stops its clock, or freezegun's or time-machine's time.
_django_now = FunctionType(_original_code, _django.__globals__, "now")

_stopped_at: datetime | None = None


def now() -> Any:
    """What ``timezone.now()`` says within ``standing_still``."""
    return _django_now() if _stopped_at is None or _is_someone_else_in_charge() else _stopped_at


def is_still() -> bool:
    """Whether time stands still; else it goes on while the test runs."""
    return timezone.now() == timezone.now()


def move(duration: timedelta) -> None:
    """Let it be later by so much.

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
        raise RuntimeError(
            f"The time could not be moved by {duration}: something else than freezegun, time-machine or"
            " django_scheduler.testing decides what timezone.now() says."
        )


@contextmanager
def standing_still() -> Iterator[None]:
    """Within it, time stands still unless freezegun or time-machine is in charge."""
    global _stopped_at
    before, _stopped_at = _stopped_at, timezone.now().astimezone(UTC)
    _django.__code__ = _now_in_test.__code__
    try:
        yield
    finally:
        _stopped_at = before
        if before is None:
            _django.__code__ = _original_code


def _now_in_test() -> Any:
    # It runs as a part of django.utils.timezone, so it must import what it needs.
    from django_scheduler.testing.clock import now as now_in_test

    return now_in_test()


def _is_someone_else_in_charge() -> bool:
    return bool(_freezer() or _traveller())


def _freezer() -> Any:
    return _last("freezegun.api", "freeze_factories")


def _traveller() -> Any:
    return _last("time_machine", "traveller_stack") or _last("time_machine", "coordinates_stack")


def _last(module_name: str, stack_name: str) -> Any:
    """What has been started last of those that are active, if the test uses that library at all."""
    stack = getattr(sys.modules.get(module_name), stack_name, None)
    return stack[-1] if stack else None
