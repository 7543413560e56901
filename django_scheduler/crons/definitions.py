"""The crons that the code defines, by means of ``define.py``, and what is wrong with each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django_scheduler.crons.columns import stored_args
from django_scheduler.crons.names import problem_with_name
from django_scheduler.crons.schedules import Schedule
from django_scheduler.errors import FunctionNotFound, InvalidArguments, InvalidSchedule, SchedulerError
from django_scheduler.functions import AnyFunction
from django_scheduler.references import resolve


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """A cron as the code has it."""

    name: str
    #: Makes the schedule, or raises ``InvalidSchedule``.
    make_schedule: Callable[[], Schedule]
    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    #: Names that are options of what defined it, and so cannot be arguments.
    options: frozenset[str]
    #: Where it is, as ``file:line``.
    source: str

    def schedule(self) -> Schedule:
        """Raises ``InvalidSchedule``."""
        return self.make_schedule().for_cron(self.name)

    def target(self) -> AnyFunction:
        """Raises ``FunctionNotFound``."""
        return resolve(self.function)

    def stored_args(self) -> dict[str, Any]:
        """The arguments as they are stored.

        Raises ``InvalidArguments``, ``FunctionNotFound``.
        """
        return stored_args(self.target(), self.args, self.kwargs)

    def problems(self) -> list[SchedulerError]:
        """What is wrong with it by itself."""
        problems: list[SchedulerError] = []
        if problem := problem_with_name(self.name):
            problems.append(problem)
        try:
            self.schedule()
        except InvalidSchedule as error:
            problems.append(error)
        try:
            if hidden := self.options & set(self.target().signature.parameters):
                problems.append(_hidden(self.target(), hidden))
            self.stored_args()
        except (FunctionNotFound, InvalidArguments) as error:
            problems.append(error)
        return problems


class Definitions:
    """Every cron that is defined in code."""

    def __init__(self) -> None:
        self._definitions: list[Definition] = []

    def add(self, definition: Definition) -> None:
        # A module that is loaded again defines its crons again.
        self._definitions = [
            other for other in self._definitions if (other.name, other.source) != (definition.name, definition.source)
        ]
        self._definitions.append(definition)

    def __iter__(self) -> Iterator[Definition]:
        return iter(list(self._definitions))


definitions = Definitions()


def _hidden(function: AnyFunction, names: frozenset[str]) -> InvalidArguments:
    return InvalidArguments(
        f"{function.name} has a parameter {min(names)!r}, which is an option of the cron here. Define it with"
        " crons.register(name, schedule, function, ...), where every keyword is an argument of the function."
    )
