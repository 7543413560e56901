"""``ctx.scheduler`` schedules and cancels functions, as part of the transaction that is open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ParamSpec, TypeVar, overload

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import router

from django_scheduler.errors import InvalidArguments, InvalidSchedule
from django_scheduler.functions import AnyReference, Function, Reference
from django_scheduler.models import ScheduledFunction, ScheduledFunctionId
from django_scheduler.scheduling import cancellation, enqueue
from django_scheduler.scheduling.refusals import explains_refusals
from django_scheduler.scheduling.running import Running
from django_scheduler.telemetry import warn
from django_scheduler.times import looks_like_seconds, parse_delay, parse_time
from django_scheduler.values import short_repr

P = ParamSpec("P")
T = TypeVar("T")
Given = TypeVar("Given")

_explains_refusals = explains_refusals("ctx.scheduler")


class Scheduler:
    """Schedules and cancels functions.

    Everything it does is part of the transaction that is open, and is undone with it. Outside of a
    transaction each call takes effect at once. Every method has an async one beside it, whose name begins with ``a``.

    A function is named by the decorated function itself, by ``api.<app_label>.<name>`` or
    ``internal.<app_label>.<name>``, or by the string ``"<app_label>:<name>"``.
    """

    def __init__(self, caller: Running | None = None, using: str | None = None) -> None:
        self._caller = caller
        self._using = using

    @property
    def _alias(self) -> str:
        if self._using:
            return self._using
        return self._caller.using if self._caller else router.db_for_write(ScheduledFunction)

    def using(self, alias: str) -> Scheduler:
        """Return a scheduler for another database, whose open transaction it is then part of."""
        return Scheduler(self._caller, alias)

    @overload
    def run_after(
        self, delay: timedelta | float, function: Function[P, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> ScheduledFunctionId: ...
    @overload
    def run_after(
        self, delay: timedelta | float, function: Reference | str, /, *args: Any, **kwargs: Any
    ) -> ScheduledFunctionId: ...
    @_explains_refusals
    def run_after(self, delay: timedelta | float, function: Any, /, *args: Any, **kwargs: Any) -> ScheduledFunctionId:
        """Schedule a function to run once a delay has passed, and return its id.

        ``delay`` is a ``timedelta`` or a number of milliseconds; with 0 the function runs right after this
        transaction has committed.

        Raises ``InvalidSchedule`` (a delay that is negative, not finite or over 5 x 366 days),
        ``FunctionNotFound``, ``InvalidArguments``, ``TooManyScheduled``, ``ArgumentsTooLarge``.

        Example::

            ctx.scheduler.run_after(timedelta(days=7), archive_order, order_id=7)
        """
        return enqueue.schedule(self._alias, self._caller, _delay(delay, function), function, args, kwargs)

    @overload
    def run_at(
        self, when: datetime | float, function: Function[P, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> ScheduledFunctionId: ...
    @overload
    def run_at(
        self, when: datetime | float, function: Reference | str, /, *args: Any, **kwargs: Any
    ) -> ScheduledFunctionId: ...
    @_explains_refusals
    def run_at(self, when: datetime | float, function: Any, /, *args: Any, **kwargs: Any) -> ScheduledFunctionId:
        """Schedule a function to run at a time, and return its id.

        ``when`` is an aware ``datetime`` or a number of milliseconds since the epoch. In the past: due at
        once. Raises what ``run_after`` raises.
        """
        return enqueue.schedule(self._alias, self._caller, _time(when, function), function, args, kwargs)

    @_explains_refusals
    def run_after_many(
        self, delay: timedelta | float, function: AnyReference, arguments: Iterable[Mapping[str, Any]], /
    ) -> list[ScheduledFunctionId]:
        """Schedule a function once for each dict of arguments, all of them or none.

        It takes one statement per 1,000 functions. Returns the ids in the order of the arguments. Raises what
        ``run_after`` raises; the limits are those of bulk scheduling.

        Example::

            ctx.scheduler.run_after_many(0, send_invoice, [{"order_id": 1}, {"order_id": 2}])
        """
        return enqueue.schedule_many(self._alias, self._caller, _delay(delay, function), function, arguments)

    @_explains_refusals
    def run_at_many(
        self, when: datetime | float, function: AnyReference, arguments: Iterable[Mapping[str, Any]], /
    ) -> list[ScheduledFunctionId]:
        """Schedule a function once for each dict of arguments, as ``run_after_many`` does, to run at a time."""
        return enqueue.schedule_many(self._alias, self._caller, _time(when, function), function, arguments)

    @_explains_refusals
    def cancel(self, function_id: int, /) -> None:
        """Cancel a scheduled function, as part of this transaction.

        One that is pending never runs. A mutation that is executing is interrupted on PostgreSQL, and leaves nothing
        behind. On other databases this call waits for its end, and raises ``AlreadyFinished`` if it has finished by
        then. An action that is executing goes on, but what it schedules from then on is canceled at once. One that is
        canceled already stays so.

        Raises ``UnknownScheduledFunction``, ``AlreadyFinished``, ``CannotCancelSelf``.
        """
        cancellation.cancel(self._alias, function_id, self._caller)

    @_explains_refusals
    def cancel_all(
        self,
        function: AnyReference | None = None,
        *,
        start: datetime | float | None = None,
        end: datetime | float | None = None,
        everything: bool = False,
    ) -> int:
        """Cancel the unfinished functions of one name, or of a time, and return how many were canceled.

        ``start`` and ``end``: only those that are due at ``start`` or later, and before ``end``. ``everything=True``:
        all that is unfinished, whatever it is. A function that calls this is not canceled by it.

        Raises ``InvalidArguments`` if nothing says which ones, as when ``function`` is ``None`` by mistake.
        """
        if everything == any(condition is not None for condition in (function, start, end)):
            raise InvalidArguments(
                "cancel_all(everything=True) takes nothing else, because it cancels all that is unfinished."
                if everything
                else "cancel_all() canceled nothing: say which function, or a time with start= and end=. To cancel all"
                " that is unfinished, whatever it is, write cancel_all(everything=True)."
            )
        return cancellation.cancel_all(
            self._alias,
            self._caller,
            function=function,
            start=None if start is None else parse_time(start),
            end=None if end is None else parse_time(end),
        )

    @overload
    async def arun_after(
        self, delay: timedelta | float, function: Function[P, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> ScheduledFunctionId: ...
    @overload
    async def arun_after(
        self, delay: timedelta | float, function: Reference | str, /, *args: Any, **kwargs: Any
    ) -> ScheduledFunctionId: ...
    async def arun_after(
        self, delay: timedelta | float, function: Any, /, *args: Any, **kwargs: Any
    ) -> ScheduledFunctionId:
        """Do what ``run_after`` does, for async callers."""
        return await sync_to_async(partial(self.run_after, delay, function, *args, **kwargs))()

    @overload
    async def arun_at(
        self, when: datetime | float, function: Function[P, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> ScheduledFunctionId: ...
    @overload
    async def arun_at(
        self, when: datetime | float, function: Reference | str, /, *args: Any, **kwargs: Any
    ) -> ScheduledFunctionId: ...
    async def arun_at(self, when: datetime | float, function: Any, /, *args: Any, **kwargs: Any) -> ScheduledFunctionId:
        """Do what ``run_at`` does, for async callers."""
        return await sync_to_async(partial(self.run_at, when, function, *args, **kwargs))()

    async def arun_after_many(
        self, delay: timedelta | float, function: AnyReference, arguments: Iterable[Mapping[str, Any]], /
    ) -> list[ScheduledFunctionId]:
        """Do what ``run_after_many`` does, for async callers."""
        return await sync_to_async(self.run_after_many)(delay, function, arguments)

    async def arun_at_many(
        self, when: datetime | float, function: AnyReference, arguments: Iterable[Mapping[str, Any]], /
    ) -> list[ScheduledFunctionId]:
        """Do what ``run_at_many`` does, for async callers."""
        return await sync_to_async(self.run_at_many)(when, function, arguments)

    async def acancel(self, function_id: int, /) -> None:
        """Do what ``cancel`` does, for async callers."""
        await sync_to_async(self.cancel)(function_id)

    async def acancel_all(
        self,
        function: AnyReference | None = None,
        *,
        start: datetime | float | None = None,
        end: datetime | float | None = None,
        everything: bool = False,
    ) -> int:
        """Do what ``cancel_all`` does, for async callers."""
        return await sync_to_async(self.cancel_all)(function, start=start, end=end, everything=everything)


def _delay(delay: timedelta | float, function: AnyReference) -> timedelta:
    """Return a delay as a ``timedelta``. Log a number that may be meant as seconds, once for each place in the code."""
    parsed = _parsed(parse_delay, delay, function)
    if not isinstance(delay, timedelta) and looks_like_seconds(delay) and settings.DEBUG:
        place = enqueue.place_to_warn_of("a number that looks like seconds")
        if place is not None:
            warn(
                "%s was scheduled after %s milliseconds, by %s, because numbers are milliseconds. If seconds are meant,"
                " write timedelta(seconds=%s). This is logged where DEBUG is on, once for each place in the code.",
                _name(function),
                delay,
                place,
                delay,
            )
    return parsed


def _time(when: datetime | float, function: AnyReference) -> datetime:
    return _parsed(parse_time, when, function)


def _parsed(parse: Callable[[Given], T], given: Given, function: AnyReference) -> T:
    """Parse a delay or a time; an error names the function."""
    try:
        return parse(given)
    except (InvalidSchedule, TypeError) as error:
        raise type(error)(f"{_name(function)} was not scheduled. {error}") from None


def _name(function: object) -> str:
    match function:
        case Function():
            return function.name
        case Reference() | str():
            return str(function)
        case _:
            return short_repr(function)
