"""How code defines its crons: in the module ``functions`` or ``crons`` of any installed app.

A definition raises nothing: what is wrong with it is found by the system checks, all of it at once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, ParamSpec, overload

from django_scheduler.crons.cron_lines import CronLine
from django_scheduler.crons.definitions import Definition, definitions
from django_scheduler.crons.intervals import Interval
from django_scheduler.crons.named_lines import Daily, Hourly, Monthly, Weekday, Weekly
from django_scheduler.crons.schedules import CatchUp, Schedule, checked_schedule
from django_scheduler.functions import AnyFunction, Function
from django_scheduler.references import Reference

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
