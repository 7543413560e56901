"""Names of crons: printable ASCII, so that they look the same in every log and terminal.

The crons that the code defines, by means of ``define.py``, and what is wrong with each of them.

How code defines its crons: in the module ``functions`` or ``crons`` of any installed app.

A definition raises nothing: what is wrong with it is found by the system checks, all of it at once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, ParamSpec, overload

from django_scheduler.crons.cron_lines import CronLine, Daily, Hourly, Monthly, Weekday, Weekly
from django_scheduler.crons.models import LONGEST_NAME, stored_args
from django_scheduler.crons.schedules import CatchUp, Interval, Schedule, checked_schedule
from django_scheduler.errors import FunctionNotFound, InvalidArguments, InvalidSchedule, SchedulerError
from django_scheduler.functions import AnyFunction, Function, Reference, resolve
from django_scheduler.values import short_repr


def problem_with_name(name: object) -> InvalidSchedule | None:
    """What is wrong with a cron's name, or ``None``."""
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


defined_crons = Definitions()


def _hidden(function: AnyFunction, names: frozenset[str]) -> InvalidArguments:
    return InvalidArguments(
        f"{function.name} has a parameter {min(names)!r}, which is an option of the cron here. Define it with"
        " crons.register(name, schedule, function, ...), where every keyword is an argument of the function."
    )


P = ParamSpec("P")

AnyReference = AnyFunction | Reference | str


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
    _define(name, partial(checked_schedule, schedule), function, args, kwargs)


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
    schedule = partial(
        Interval,
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
    schedule = partial(CronLine, line, timezone=timezone, catch_up=catch_up, pause_after_failures=pause_after_failures)
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
    schedule = partial(
        Hourly, minute=minute, timezone=timezone, catch_up=catch_up, pause_after_failures=pause_after_failures
    )
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
    schedule = partial(
        Daily,
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
    schedule = partial(
        Weekly,
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
    schedule = partial(
        Monthly,
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
    defined_crons.add(
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
