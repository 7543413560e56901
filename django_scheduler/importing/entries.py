"""An entry is what another scheduler runs again and again, or once at a time, in our words.

What a reader finds of an entry that it cannot say, it raises as a ``Refusal``; that nothing needs to be done about it,
as ``NothingToDo``. So an entry is read as a whole or not at all, and each one is accounted for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.utils import timezone

from django_scheduler.crons import Interval, Schedule
from django_scheduler.errors import InvalidSchedule


class SourceMissing(Exception):
    """Says what is missing so that a source can be read."""


class Refusal(Exception):
    """Says why an entry cannot be said here, and what to do."""


class NothingToDo(Exception):
    """Says why an entry needs no counterpart here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Holds an entry whose schedule can be said here."""

    name: str
    #: Which row of which table it is, if it may run once.
    id: str = ""
    #: What it runs, as it is called there: ``"orders.tasks.send_digest"``.
    task: str
    #: What recurs has a schedule, and what runs once has a time.
    when: Schedule | datetime
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    #: It is on record there, and disabled.
    paused: bool = False
    #: What a function says here for all of its calls.
    queue: str | None = None
    #: Likewise of what recurs; what runs once may have its own, also as a time.
    expires: timedelta | datetime | None = None
    #: What has no counterpart in a cron, in sentences.
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """Is an entry that somebody has to look at."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name!r} cannot be imported. {self.why}"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Is an entry that needs no counterpart here."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name!r} is left out. {self.why}"


Read = Entry | Refused | LeftOut


def read_each(entries: Iterable[tuple[str, Callable[[], Entry]]]) -> list[Read]:
    """Read each entry, given its name and what reads it."""
    found: list[Read] = []
    for name, read in entries:
        try:
            found.append(read())
        except (Refusal, InvalidSchedule) as refusal:
            found.append(Refused(name, str(refusal)))
        # It may be anything: also a time zone that this host does not know, or lists in lists without an end.
        except (TypeError, ValueError, AttributeError, OverflowError, RecursionError, ValidationError) as error:
            why = f"It cannot be read: {error}. Correct it there, or register by hand what it stands for."
            found.append(Refused(name, why))
        except NothingToDo as reason:
            found.append(LeftOut(name, str(reason)))
    return found


class ContinuedInterval(Interval):
    """Is an interval that goes on with the grid that it has elsewhere. A new one would begin with a run at once."""

    def __init__(self, interval: Interval, *, begin: datetime) -> None:
        super().__init__(every=interval.every, catch_up=interval.catch_up)
        self._begin = begin

    def first_slot(self, now: datetime) -> datetime:
        return self.next_after(now, anchor=self._begin)


def model_of(source: str, app_label: str, name: str) -> Any:
    """Return a model of another package. Raises ``SourceMissing`` if its app is not there."""
    try:
        return apps.get_model(app_label, name)
    except LookupError as error:
        raise SourceMissing(
            f"The tables of {source} are read with its models, so it has to be installed, with {app_label!r} in"
            " INSTALLED_APPS, until they are imported."
        ) from error


def begins_later(start: datetime) -> Refusal:
    """Return the refusal of an entry whose first run lies so far ahead that a cron would run before."""
    return Refusal(
        f"It begins only at {timezone.localtime(start).isoformat(sep=' ', timespec='minutes')}, and a cron begins when"
        " it is registered. Import it after that time, or schedule a mutation for then that calls ctx.crons.register()."
    )
