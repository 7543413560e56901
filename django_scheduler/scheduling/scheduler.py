"""``ctx.scheduler`` schedules and cancels functions, as part of the transaction that is open."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import router

from django_scheduler.databases import require_alias
from django_scheduler.errors import InvalidArguments, InvalidSchedule
from django_scheduler.functions import (
    NOT_GIVEN,
    AnyReference,
    Function,
    NotGiven,
    Reference,
    cancels_all,
    opens_batch,
    schedules,
    schedules_many,
    takes_options,
)
from django_scheduler.models import Kind, ScheduledFunction, ScheduledFunctionId
from django_scheduler.record import BatchOutcome
from django_scheduler.scheduling import cancellation, choosing, enqueue
from django_scheduler.scheduling.batches import BatchBlock, Membership, open_batch
from django_scheduler.scheduling.interventions_by_id import InterventionsById
from django_scheduler.scheduling.options import (
    NO_OPTIONS,
    BatchCallback,
    Callback,
    CallKey,
    CallOptions,
    Existing,
    stored_callbacks,
    where_option_belongs,
)
from django_scheduler.scheduling.refusals import explains_refusals
from django_scheduler.scheduling.running import Running
from django_scheduler.suggestions import naming_unknown_options
from django_scheduler.telemetry import warn
from django_scheduler.times import looks_like_seconds, parse_delay, parse_time
from django_scheduler.values import short_repr

T = TypeVar("T")
Given = TypeVar("Given")

_explains_refusals = explains_refusals("ctx.scheduler")


class Scheduler(InterventionsById):
    """Schedules and cancels functions.

    Everything it does is part of the transaction that is open, and is undone with it. Outside of a
    transaction each call takes effect at once. What asks the database has an async twin, whose name begins with ``a``;
    only ``batch``, whose block is a transaction, has none.

    A function is named by the decorated function itself, by ``api.<app_label>.<name>`` or
    ``internal.<app_label>.<name>``, or by the string ``"<app_label>:<name>"``.
    """

    def __init__(
        self, caller: Running | None = None, using: str | None = None, options: CallOptions = NO_OPTIONS
    ) -> None:
        self._caller = caller
        self._using = using
        self._options = options

    @property
    def _alias(self) -> str:
        if self._using:
            return self._using
        return self._caller.using if self._caller else router.db_for_write(ScheduledFunction)

    def _require_no_options(self, nothing_was_done: str, instead: str) -> None:
        if self._options is not NO_OPTIONS:
            raise InvalidArguments(
                f"{nothing_was_done}: options and batches are for what is scheduled through them, and not for what is"
                f" on record already. Write {instead}."
            )

    def using(self, alias: str) -> Scheduler:
        """Return a scheduler for another database, whose open transaction it is then part of.

        Raises ``ConnectionDoesNotExist``, as Django does, for an alias that is not in ``DATABASES``.
        """
        require_alias(alias)
        return Scheduler(self._caller, alias, self._options)

    @takes_options
    @naming_unknown_options("ctx.scheduler", elsewhere=where_option_belongs)
    def options(
        self,
        *,
        queue: str | NotGiven = NOT_GIVEN,
        priority: int | NotGiven = NOT_GIVEN,
        expires: timedelta | datetime | NotGiven | None = NOT_GIVEN,
        on_complete: Callback | NotGiven | None = NOT_GIVEN,
        on_failure: Callback | NotGiven | None = NOT_GIVEN,
        key: CallKey | NotGiven | None = NOT_GIVEN,
        existing: Existing | NotGiven = NOT_GIVEN,
        max_wait: timedelta | NotGiven | None = NOT_GIVEN,
    ) -> Scheduler:
        """Return a scheduler through which calls are scheduled with these options, in place of what functions declare.

        ``queue``, ``priority``: as those of a function. ``expires``: until when it may begin, as a ``timedelta`` from
        the requested time or an aware ``datetime``, or ``None`` for ever; after that it is ``canceled``, ``expired``.
        ``on_complete``: what is scheduled when it has ended, however that was, in the transaction that records the end:
        a function, or one with arguments, ``(report, {"order_id": 7})``. It is given ``outcome``, an ``Outcome``.
        ``on_failure``: likewise, for every end but ``success``.
        ``key``: at most one call of the function waits with this key: a text, or a callable that is given the arguments
        by name and returns it (which ``run_after_many`` and ``run_at_many`` need). If one waits, its id is returned:
        with ``existing="keep"``, the default, it waits on as it is, and with ``existing="replace"`` it gets everything
        of the new call but its id. ``max_wait``: then for how long, as a ``timedelta``,
        calls may put it off at most, from the first one on. One that has begun is not waiting.

        Options of options are merged, and the later ones count.

        Raises ``InvalidSchedule`` and ``TypeError`` for what cannot be.

        Example::

            ctx.scheduler.options(queue="bulk", on_complete=report).run_after(0, sync, account_id=7)
        """
        merged = self._options.merged(
            queue=queue,
            priority=priority,
            expires=expires,
            on_complete=on_complete,
            on_failure=on_failure,
            key=key,
            existing=existing,
            max_wait=max_wait,
        )
        return Scheduler(self._caller, self._using, merged)

    @opens_batch
    @naming_unknown_options("ctx.scheduler")
    def batch(self, *, on_complete: BatchCallback | None = None) -> BatchBlock[Batch]:
        """Schedule a batch within a block: what is scheduled through what it gives is a member.

        ``on_complete`` is scheduled once, when the last of the members has ended, however each of them has: a function,
        or one with arguments. It is given ``outcome``, a ``BatchOutcome``. Members may add members, with ``ctx.batch``.
        The batch has ended as well if it has none.

        The block is a transaction, or a savepoint of the one that is open: an exception drops all of it. A batch that
        is scheduled within the block of another one is a batch of its own.

        Raises ``FunctionNotFound``, ``InvalidArguments``.

        Example::

            with ctx.scheduler.batch(on_complete=(tell, {"report_id": 7})) as batch:
                for page in range(40):
                    batch.run_after(0, render_page, report_id=7, page=page)
        """
        return BatchBlock(partial(self._open_batch, on_complete))

    @contextmanager
    def _open_batch(self, on_complete: BatchCallback | None) -> Iterator[Batch]:
        callbacks = stored_callbacks("the batch", on_complete, outcome=BatchOutcome)
        context = None
        if callbacks is not None:
            (callback,) = json.loads(callbacks)
            kind = Kind(callback["kind"])
            context = enqueue.new_context(self._caller, callback["name"], kind, callback["queue"], 1)
        with open_batch(self._alias, self._caller, callbacks, context) as membership:
            yield Batch(self._caller, self._alias, self._options.merged(batch=membership))

    @schedules
    @_explains_refusals
    def run_after(
        self, delay: timedelta | float, function: AnyReference, /, *args: Any, **kwargs: Any
    ) -> ScheduledFunctionId:
        """Schedule a function to run once a delay has passed, and return its id.

        ``delay`` is a ``timedelta`` or a number of milliseconds; with 0 the function runs right after this
        transaction has committed.

        Raises ``InvalidSchedule`` (a delay that is negative, not finite or over 5 x 366 days),
        ``FunctionNotFound``, ``InvalidArguments``, ``TooManyScheduled``, ``ArgumentsTooLarge``.

        Example::

            ctx.scheduler.run_after(timedelta(days=7), archive_order, order_id=7)
        """
        return enqueue.schedule(
            self._alias, self._caller, _delay(delay, function), function, args, kwargs, self._options
        )

    @schedules
    @_explains_refusals
    def run_at(
        self, when: datetime | float, function: AnyReference, /, *args: Any, **kwargs: Any
    ) -> ScheduledFunctionId:
        """Schedule a function to run at a time, and return its id.

        ``when`` is an aware ``datetime`` or a number of milliseconds since the epoch. In the past: due at
        once. Raises what ``run_after`` raises.
        """
        time = _time(when, function)
        return enqueue.schedule(self._alias, self._caller, time, function, args, kwargs, self._options)

    @schedules_many
    @_explains_refusals
    def run_after_many(
        self, delay: timedelta | float, function: AnyReference, arguments: Iterable[Mapping[str, Any]], /
    ) -> list[ScheduledFunctionId]:
        """Schedule a function once for each dict of arguments, all of them or none.

        It takes one statement per 1,000 functions, and with ``existing="replace"`` one for each that waits. Returns
        the ids in the order of the arguments. Raises what ``run_after`` raises; the limits are those of bulk
        scheduling.

        Example::

            ctx.scheduler.run_after_many(0, send_invoice, [{"order_id": 1}, {"order_id": 2}])
        """
        return enqueue.schedule_many(
            self._alias, self._caller, _delay(delay, function), function, arguments, self._options
        )

    @schedules_many
    @_explains_refusals
    def run_at_many(
        self, when: datetime | float, function: AnyReference, arguments: Iterable[Mapping[str, Any]], /
    ) -> list[ScheduledFunctionId]:
        """Schedule a function once for each dict of arguments, as ``run_after_many`` does, to run at a time."""
        return enqueue.schedule_many(
            self._alias, self._caller, _time(when, function), function, arguments, self._options
        )

    @_explains_refusals
    def cancel(self, function_id: int, /) -> None:
        """Cancel a scheduled function, as part of this transaction.

        One that is pending never runs. A mutation that is executing is interrupted on PostgreSQL, and leaves nothing
        behind. On other databases, and if the mutation has a limit, this call waits for its end, and raises
        ``AlreadyFinished`` if it has finished by then. An action that is executing goes on, but what it schedules from
        then on is canceled at once. One that is canceled already stays so.

        Raises ``UnknownScheduledFunction``, ``AlreadyFinished``, ``CannotCancelSelf``.
        """
        cancellation.cancel(self._alias, function_id, self._caller)

    @cancels_all
    @_explains_refusals
    def cancel_all(
        self,
        function: AnyReference | None = None,
        *,
        start: datetime | float | None = None,
        end: datetime | float | None = None,
        args: Mapping[str, Any] | None = None,
        batch: int | None = None,
        everything: bool = False,
    ) -> int:
        """Cancel the unfinished functions of a name, a time, certain arguments or a batch; return how many they were.

        ``start`` and ``end``: only those that are due at ``start`` or later, and before ``end``. ``args``: only those
        whose arguments of these names are equal to these, and of the same type; a model instance is the one that has
        its primary key, and a default that a call did not give is not on record. ``batch``: only the members of the
        batch with this id. ``everything=True``: all that is unfinished, whatever it is. A function that calls this is
        not canceled by it.

        Raises ``InvalidArguments`` if nothing says which ones, as when ``function`` is ``None`` by mistake, if the
        function has no parameter of such a name, or if options are given, which belong to what is scheduled.

        Example::

            ctx.scheduler.cancel_all(archive_order, args={"order_id": 7})
        """
        if not isinstance(everything, bool):
            raise TypeError(
                f"cancel_all() canceled nothing: everything= is True or False, not {short_repr(everything)}."
            )
        hint = f"batch={self._options.batch.id}" if self._options.batch else "function, args={...}"
        self._require_no_options("cancel_all() canceled nothing", f"ctx.scheduler.cancel_all({hint})")
        if not (batch is None or type(batch) is int):
            raise TypeError(f"cancel_all() canceled nothing: batch= is the id of a batch, not {short_repr(batch)}.")
        if everything == any(condition is not None for condition in (function, start, end, args, batch)):
            raise InvalidArguments(
                "cancel_all(everything=True) takes nothing else, because it cancels all that is unfinished."
                if everything
                else "cancel_all() canceled nothing: say which function, a time with start= and end=, arguments with"
                " args= or a batch with batch=. To cancel all that is unfinished, whatever it is, write"
                " cancel_all(everything=True)."
            )
        first, last = choosing.parse_bounds(start, end)
        return cancellation.cancel_all(
            self._alias, self._caller, function=function, start=first, end=last, args=args, batch_id=batch
        )

    @schedules
    async def arun_after(
        self, delay: timedelta | float, function: AnyReference, /, *args: Any, **kwargs: Any
    ) -> ScheduledFunctionId:
        """Do what ``run_after`` does, for async callers."""
        return await sync_to_async(partial(self.run_after, delay, function, *args, **kwargs))()

    @schedules
    async def arun_at(
        self, when: datetime | float, function: AnyReference, /, *args: Any, **kwargs: Any
    ) -> ScheduledFunctionId:
        """Do what ``run_at`` does, for async callers."""
        return await sync_to_async(partial(self.run_at, when, function, *args, **kwargs))()

    @schedules_many
    async def arun_after_many(
        self, delay: timedelta | float, function: AnyReference, arguments: Iterable[Mapping[str, Any]], /
    ) -> list[ScheduledFunctionId]:
        """Do what ``run_after_many`` does, for async callers."""
        return await sync_to_async(self.run_after_many)(delay, function, arguments)

    @schedules_many
    async def arun_at_many(
        self, when: datetime | float, function: AnyReference, arguments: Iterable[Mapping[str, Any]], /
    ) -> list[ScheduledFunctionId]:
        """Do what ``run_at_many`` does, for async callers."""
        return await sync_to_async(self.run_at_many)(when, function, arguments)

    async def acancel(self, function_id: int, /) -> None:
        """Do what ``cancel`` does, for async callers."""
        await sync_to_async(self.cancel)(function_id)

    @cancels_all
    async def acancel_all(
        self,
        function: AnyReference | None = None,
        *,
        start: datetime | float | None = None,
        end: datetime | float | None = None,
        args: Mapping[str, Any] | None = None,
        batch: int | None = None,
        everything: bool = False,
    ) -> int:
        """Do what ``cancel_all`` does, for async callers."""
        return await sync_to_async(self.cancel_all)(
            function, start=start, end=end, args=args, batch=batch, everything=everything
        )


class Batch(Scheduler):
    """Schedules members of a batch."""

    @property
    def id(self) -> int:
        """Return the id of the batch."""
        assert self._options.batch is not None
        return self._options.batch.id

    @classmethod
    def of_member(cls, member: Running, batch_id: int) -> Batch:
        """Return the batch that a function which executes is a member of."""
        return cls(member, member.using, NO_OPTIONS.merged(batch=Membership(batch_id, member.using)))


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
        if isinstance(given, Function | Reference):
            raise TypeError(
                f"{_name(given)} was not scheduled. When it is to run comes first, and the function second:"
                f" run_after(0, {str(given) if isinstance(given, Reference) else given.last_name}, ...)."
            ) from None
        raise type(error)(f"{_name(function)} was not scheduled. {error}") from None


def _name(function: object) -> str:
    match function:
        case Function():
            return function.name
        case Reference() | str():
            return str(function)
        case _:
            return short_repr(function)
