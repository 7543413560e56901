"""``ctx.scheduler`` schedules and cancels functions, as part of the transaction that is open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ParamSpec, overload

from asgiref.sync import sync_to_async
from django.db import router

from django_scheduler.functions import AnyReference, Function, Reference
from django_scheduler.models import ScheduledFunction, ScheduledFunctionId
from django_scheduler.scheduling import cancellation, enqueue
from django_scheduler.scheduling.running import Running
from django_scheduler.times import parse_delay, parse_time

P = ParamSpec("P")


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
    def run_after(self, delay: timedelta | float, function: Any, /, *args: Any, **kwargs: Any) -> ScheduledFunctionId:
        """Schedule a function to run once a delay has passed, and return its id.

        ``delay`` is a ``timedelta`` or a number of milliseconds; with 0 the function runs right after this
        transaction has committed.

        Raises ``InvalidSchedule`` (a delay that is negative, not finite or over 5 x 366 days),
        ``FunctionNotFound``, ``InvalidArguments``, ``TooManyScheduled``, ``ArgumentsTooLarge``.

        Example::

            ctx.scheduler.run_after(timedelta(days=7), archive_order, order_id=7)
        """
        return enqueue.schedule(self._alias, self._caller, parse_delay(delay), function, args, kwargs)

    @overload
    def run_at(
        self, when: datetime | float, function: Function[P, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> ScheduledFunctionId: ...
    @overload
    def run_at(
        self, when: datetime | float, function: Reference | str, /, *args: Any, **kwargs: Any
    ) -> ScheduledFunctionId: ...
    def run_at(self, when: datetime | float, function: Any, /, *args: Any, **kwargs: Any) -> ScheduledFunctionId:
        """Schedule a function to run at a time, and return its id.

        ``when`` is an aware ``datetime`` or a number of milliseconds since the epoch. In the past: due at
        once. Raises what ``run_after`` raises.
        """
        return enqueue.schedule(self._alias, self._caller, parse_time(when), function, args, kwargs)

    def run_after_many(
        self, delay: timedelta | float, function: AnyReference, arguments: Iterable[Mapping[str, Any]], /
    ) -> list[ScheduledFunctionId]:
        """Schedule a function once for each dict of arguments, all of them or none.

        It takes one statement per 1,000 functions. Returns the ids in the order of the arguments. Raises what
        ``run_after`` raises; the limits are those of bulk scheduling.

        Example::

            ctx.scheduler.run_after_many(0, send_invoice, [{"order_id": 1}, {"order_id": 2}])
        """
        return enqueue.schedule_many(self._alias, self._caller, parse_delay(delay), function, arguments)

    def run_at_many(
        self, when: datetime | float, function: AnyReference, arguments: Iterable[Mapping[str, Any]], /
    ) -> list[ScheduledFunctionId]:
        """Schedule a function once for each dict of arguments, as ``run_after_many`` does, to run at a time."""
        return enqueue.schedule_many(self._alias, self._caller, parse_time(when), function, arguments)

    def cancel(self, function_id: int, /) -> None:
        """Cancel a scheduled function, as part of this transaction.

        One that is pending never runs. A mutation that is executing is interrupted on PostgreSQL, and leaves nothing
        behind. On other databases this call waits for its end, and raises ``AlreadyFinished`` if it has finished by
        then. An action that is executing goes on, but what it schedules from then on is canceled at once. One that is
        canceled already stays so.

        Raises ``UnknownScheduledFunction``, ``AlreadyFinished``, ``CannotCancelSelf``.
        """
        cancellation.cancel(self._alias, function_id, self._caller)

    def cancel_all(
        self,
        function: AnyReference | None = None,
        *,
        start: datetime | float | None = None,
        end: datetime | float | None = None,
    ) -> int:
        """Cancel every unfinished function, or those of one name, and return how many were canceled.

        ``start`` and ``end``: only those that are due at ``start`` or later, and before ``end``. A function that
        calls this is not canceled by it.
        """
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
    ) -> int:
        """Do what ``cancel_all`` does, for async callers."""
        return await sync_to_async(self.cancel_all)(function, start=start, end=end)
