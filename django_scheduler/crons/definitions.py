"""A definition says what a cron is to be, as it was passed to ``crons.register`` or ``ctx.crons.register``.

Code defines its crons in the module ``functions`` or ``crons`` of any installed app. ``crons.register`` raises nothing:
the system checks say what is wrong with all definitions at once. ``ctx.crons.register`` raises the first problem.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django_scheduler import values
from django_scheduler.crons.models import LONGEST_NAME, Cron, Origin, columns_of
from django_scheduler.crons.schedules import Schedule, checked_schedule
from django_scheduler.errors import FunctionNotFound, InvalidArguments, InvalidSchedule, SchedulerError
from django_scheduler.functions import AnyFunction, AnyReference, registers_cron, resolve_to_schedule
from django_scheduler.values import short_repr


@registers_cron
def register(name: str, schedule: Schedule, function: AnyReference, /, *args: Any, **kwargs: Any) -> None:
    """Define a cron in code: the function is scheduled with these arguments whenever the schedule says so.

    ``manage.py check`` says what is wrong with it. Call it in the module ``functions`` or ``crons`` of an app.

    Example::

        crons.register("digest", crons.Daily(hour=9, timezone="Europe/Berlin"), send_digest, shop_id=7)
    """
    caller = traceback.extract_stack(limit=2)[0]
    defined_crons.add(Definition(name, schedule, function, args, kwargs, f"{caller.filename}:{caller.lineno}"))


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """Holds a cron as it was passed to ``register``; nothing of it is checked yet."""

    name: str
    schedule: Schedule
    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    #: Where the code defines it, as ``file:line``.
    source: str = ""

    def target(self) -> AnyFunction:
        """Return its function. Raises ``FunctionNotFound``."""
        return resolve_to_schedule(self.function)

    def stored_args(self) -> dict[str, Any]:
        """Return its arguments as they are stored. Raises ``FunctionNotFound``, ``InvalidArguments``."""
        return stored_args(self.target(), self.args, self.kwargs)

    def problems(self) -> list[SchedulerError]:
        """Return everything that is wrong with it by itself."""
        problems: list[SchedulerError] = []
        for check in (self._check_name, self._own_schedule, self.stored_args):
            try:
                check()
            except (InvalidSchedule, FunctionNotFound, InvalidArguments) as error:
                problems.append(error)
        return problems

    def columns(self) -> dict[str, Any]:
        """Return what it says of the columns of ``Cron``. Raises the first of its problems."""
        self._check_name()
        schedule = columns_of(self._own_schedule())
        return {"name": self.name, "function": self.target().name, "args": self.stored_args(), **schedule}

    def new_cron(self, origin: Origin, now: datetime) -> Cron:
        """Return the row of a cron that is added now, which is not saved yet. Raises the first of its problems."""
        columns = self.columns()
        first_slot = self._own_schedule().first_slot(now)
        return Cron(origin=origin, anchor=first_slot, creation_time=now, next_time=first_slot, **columns)

    def _check_name(self) -> None:
        if problem := problem_with_name(self.name):
            raise problem

    def _own_schedule(self) -> Schedule:
        return checked_schedule(self.schedule).for_cron(self.name)


class Definitions:
    """Holds every cron that is defined in code."""

    def __init__(self) -> None:
        self._definitions: list[Definition] = []

    def add(self, definition: Definition) -> None:
        """Add a definition. A module that is loaded again replaces those that it added before."""
        place = (definition.name, definition.source)
        self._definitions = [other for other in self._definitions if (other.name, other.source) != place]
        self._definitions.append(definition)

    def __iter__(self) -> Iterator[Definition]:
        return iter(list(self._definitions))

    def __contains__(self, name: object) -> bool:
        # Names are unique regardless of case.
        return any(str(definition.name).casefold() == str(name).casefold() for definition in self._definitions)


defined_crons = Definitions()


def problem_with_name(name: object) -> InvalidSchedule | None:
    """Return what is wrong with the name of a cron. It is printable ASCII, to look the same in logs and terminals."""
    if not isinstance(name, str):
        return InvalidSchedule(f"The name of a cron is a str, not {type(name).__name__}.")
    if not (name.isascii() and name.isprintable() and name and name == name.strip()):
        return InvalidSchedule(
            f"The name of a cron is made of printable ASCII and neither begins nor ends with a space:"
            f" {short_repr(name)}."
        )
    if len(name) > LONGEST_NAME:
        return InvalidSchedule(f"The name of a cron has at most {LONGEST_NAME} characters, not {len(name)}.")
    return None


def stored_args(function: AnyFunction, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a function as a cron stores them. Raises ``InvalidArguments``."""
    arguments: dict[str, Any] = json.loads(values.dump_arguments(function.name, function.bind(args, kwargs)))
    return arguments
