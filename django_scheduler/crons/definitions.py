"""Crons that are defined in code: in the module ``functions`` or ``crons`` of any installed app.

A definition raises nothing: what is wrong with it is found by the system checks, all of it at once.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ParamSpec, overload

from django_scheduler import values
from django_scheduler.crons.names import problem_with_name
from django_scheduler.crons.schedules import (
    CatchUp,
    CronLine,
    Daily,
    Hourly,
    Interval,
    Monthly,
    Schedule,
    Weekday,
    Weekly,
    checked_schedule,
)
from django_scheduler.errors import FunctionNotFound, InvalidArguments, InvalidSchedule, SchedulerError
from django_scheduler.functions import AnyFunction, Function
from django_scheduler.references import Reference, resolve

P = ParamSpec("P")

AnyReference = AnyFunction | Reference | str


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

    def dumped_args(self) -> dict[str, Any]:
        """The arguments as they are stored.

        Raises ``InvalidArguments``, ``FunctionNotFound``.
        """
        target = self.target()
        arguments: dict[str, Any] = json.loads(values.dump_arguments(target.name, target.bind(self.args, self.kwargs)))
        return arguments

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
            self.dumped_args()
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


@overload
def register(
    name: str, schedule: Schedule, function: Function[P, Any], /, *args: P.args, **kwargs: P.kwargs
) -> None: ...
@overload
def register(name: str, schedule: Schedule, function: Reference | str, /, *args: Any, **kwargs: Any) -> None: ...
def register(name: str, schedule: Schedule, function: Any, /, *args: Any, **kwargs: Any) -> None:
    """Define a cron by a schedule. Type checkers check the arguments, which they cannot do for the others here.

    Example::

        crons.register("digest", crons.Daily(hour=9, timezone="Europe/Berlin"), send_digest, shop_id=7)
    """
    _define(name, lambda: checked_schedule(schedule), function, args, kwargs)


def interval(
    name: str,
    function: AnyReference,
    /,
    *,
    seconds: float | None = None,
    minutes: float | None = None,
    hours: float | None = None,
    every: timedelta | None = None,
    catch_up: CatchUp = "one",
    pause_after_failures: int | None = None,
    **args: Any,
) -> None:
    """Define a cron that runs every so often, beginning when it is deployed: see ``Interval``.

    Example::

        crons.interval("expire carts", expire_carts, minutes=10, older_than=timedelta(hours=2))
    """

    def schedule() -> Schedule:
        return Interval(
            seconds=seconds,
            minutes=minutes,
            hours=hours,
            every=every,
            catch_up=catch_up,
            pause_after_failures=pause_after_failures,
        )

    _define(name, schedule, function, (), args, options=interval)


def cron(
    name: str,
    line: str,
    function: AnyReference,
    /,
    *,
    timezone: str | None = None,
    catch_up: CatchUp = "one",
    pause_after_failures: int | None = None,
    **args: Any,
) -> None:
    """Define a cron by a cron line: see ``CronLine``.

    Example::

        crons.cron("open the shop", "0 9 * * mon-fri", open_shop, timezone="Europe/Berlin")
    """

    def schedule() -> Schedule:
        return CronLine(line, timezone=timezone, catch_up=catch_up, pause_after_failures=pause_after_failures)

    _define(name, schedule, function, (), args, options=cron)


def hourly(
    name: str,
    function: AnyReference,
    /,
    *,
    minute: int | None = None,
    timezone: str | None = None,
    catch_up: CatchUp = "one",
    pause_after_failures: int | None = None,
    **args: Any,
) -> None:
    """Define a cron that runs every hour: see ``Hourly``."""

    def schedule() -> Schedule:
        return Hourly(minute=minute, timezone=timezone, catch_up=catch_up, pause_after_failures=pause_after_failures)

    _define(name, schedule, function, (), args, options=hourly)


def daily(
    name: str,
    function: AnyReference,
    /,
    *,
    hour: int,
    minute: int | None = None,
    timezone: str | None = None,
    catch_up: CatchUp = "one",
    pause_after_failures: int | None = None,
    **args: Any,
) -> None:
    """Define a cron that runs every day: see ``Daily``."""

    def schedule() -> Schedule:
        return Daily(
            hour=hour,
            minute=minute,
            timezone=timezone,
            catch_up=catch_up,
            pause_after_failures=pause_after_failures,
        )

    _define(name, schedule, function, (), args, options=daily)


def weekly(
    name: str,
    function: AnyReference,
    /,
    *,
    day: Weekday,
    hour: int,
    minute: int | None = None,
    timezone: str | None = None,
    catch_up: CatchUp = "one",
    pause_after_failures: int | None = None,
    **args: Any,
) -> None:
    """Define a cron that runs once a week: see ``Weekly``."""

    def schedule() -> Schedule:
        return Weekly(
            day=day,
            hour=hour,
            minute=minute,
            timezone=timezone,
            catch_up=catch_up,
            pause_after_failures=pause_after_failures,
        )

    _define(name, schedule, function, (), args, options=weekly)


def monthly(
    name: str,
    function: AnyReference,
    /,
    *,
    day: int,
    hour: int,
    minute: int | None = None,
    timezone: str | None = None,
    catch_up: CatchUp = "one",
    pause_after_failures: int | None = None,
    **args: Any,
) -> None:
    """Define a cron that runs once a month: see ``Monthly``."""

    def schedule() -> Schedule:
        return Monthly(
            day=day,
            hour=hour,
            minute=minute,
            timezone=timezone,
            catch_up=catch_up,
            pause_after_failures=pause_after_failures,
        )

    _define(name, schedule, function, (), args, options=monthly)


def _define(
    name: str,
    make_schedule: Callable[[], Schedule],
    function: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    options: Callable[..., None] | None = None,
) -> None:
    definitions.add(
        Definition(
            name=name,
            make_schedule=make_schedule,
            function=function,
            args=args,
            kwargs=kwargs,
            options=_options(options) if options else frozenset(),
            source=_source_of_caller(),
        )
    )


def _source_of_caller() -> str:
    """Where the code is that called a function of this module."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "unknown"


def _options(method: Callable[..., None]) -> frozenset[str]:
    parameters = inspect.signature(method).parameters.values()
    return frozenset(each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY)


def _hidden(function: AnyFunction, names: frozenset[str]) -> InvalidArguments:
    return InvalidArguments(
        f"{function.name} has a parameter {min(names)!r}, which is an option of the cron here. Define it with"
        " crons.register(name, schedule, function, ...), where every keyword is an argument of the function."
    )
