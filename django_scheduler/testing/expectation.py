"""``assert_scheduled`` looks for an expectation among the pending functions, and its message describes it."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from django_scheduler.errors import InvalidArguments
from django_scheduler.functions import AnyFunction
from django_scheduler.models import ScheduledFunction
from django_scheduler.suggestions import did_you_mean
from django_scheduler.testing import clock

#: By how much a time may differ where the clock goes on between scheduling and looking.
TOLERANCE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """Describes a function with some of its arguments, at a time, or after a delay from when it was scheduled."""

    function: AnyFunction
    arguments: Mapping[str, object]
    at: datetime | None
    after: timedelta | None

    def __post_init__(self) -> None:
        """Raise ``InvalidArguments`` for an argument that the function does not have."""
        parameters = self.function.signature.parameters.values()
        if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
            return
        for name in self.arguments:
            if name not in self.function.signature.parameters:
                hint = did_you_mean(name, self.function.signature.parameters)
                raise InvalidArguments(
                    f"{self.function.name}{self.function.signature} cannot be scheduled with {name!r}: it has no"
                    f" such argument.{hint}"
                )

    def is_met_by(self, row: ScheduledFunction) -> bool:
        if row.name != self.function.name:
            return False
        time = _time_of(row)
        if self.at is not None and not _same(time - self.at):
            return False
        if self.after is not None and not _same(time - row.creation_time - self.after):
            return False
        stored = row.decoded_args()
        return all(self._has(stored, name, value) for name, value in self.arguments.items())

    def _has(self, stored: Mapping[str, object], name: str, value: object) -> bool:
        if name in stored:
            return stored[name] == value
        parameter = self.function.signature.parameters.get(name)
        default = parameter.default if parameter else inspect.Parameter.empty
        return default is not inspect.Parameter.empty and default == value

    def __str__(self) -> str:
        text = _call(self.function.name, self.arguments)
        if self.at is not None:
            text += f" at {self.at}"
        if self.after is not None:
            text += f" after {self.after}"
        return text


def refuse_ambiguous_options(function: AnyFunction, options: Mapping[str, object]) -> None:
    """Raise ``InvalidArguments`` for an option that is given and is also the name of a parameter."""
    for name, value in options.items():
        if value is not None and name in function.signature.parameters:
            raise InvalidArguments(
                f"{function.name} has a parameter {name!r}, which is an option of assert_scheduled(). Leave it out, and"
                " look at the args of what assert_scheduled() returns."
            )


def _time_of(row: ScheduledFunction) -> datetime:
    """Return for when it is: the time that was asked for, or that to which it has been moved since."""
    was_moved = not _same(row.due_time - max(row.scheduled_time, row.creation_time))
    return row.due_time if was_moved else row.scheduled_time


def listing(rows: Sequence[ScheduledFunction]) -> str:
    """Return a list of what is scheduled, for an error message."""
    if not rows:
        return "Nothing is scheduled."
    now = timezone.now()
    lines = [
        f"  {row.pk}  {_call(row.name, row.args)} at {time}, in {time - now}"
        for row, time in ((row, _time_of(row)) for row in rows)
    ]
    return "\n".join([f"Scheduled, {now} being now:", *lines])


def _same(difference: timedelta) -> bool:
    return abs(difference) <= (timedelta(0) if clock.is_still() else TOLERANCE)


def _call(name: str, arguments: Mapping[str, object]) -> str:
    return f"{name}({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"
