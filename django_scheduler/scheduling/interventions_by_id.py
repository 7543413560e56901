"""The methods of ``ctx.scheduler`` that take the ids of functions that are on record, and run them at another time.

One that is given one id raises if that cannot be done; one that is given many says of each what became of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from asgiref.sync import sync_to_async

from django_scheduler.errors import (
    AlreadyFinished,
    AlreadyStarted,
    CannotRunAgain,
    FunctionNotFound,
    InvalidSchedule,
    NotFinished,
    SchedulerError,
)
from django_scheduler.models import ScheduledFunction, ScheduledFunctionId
from django_scheduler.scheduling import interventions
from django_scheduler.scheduling.cancellation import InterventionResult, check_id, unknown
from django_scheduler.scheduling.commit_hook import ONE_BY_ONE
from django_scheduler.scheduling.refusals import explains_refusals
from django_scheduler.scheduling.running import Running
from django_scheduler.times import parse_for, parse_time
from django_scheduler.values import short_repr

_explains_refusals = explains_refusals("ctx.scheduler")


class _Wanted(NamedTuple):
    """Words what somebody wants to do with functions."""

    #: With a place for the functions.
    to_what: str
    infinitive: str
    participle: str
    method: str


_RESCHEDULE = _Wanted("reschedule {}", "reschedule", "rescheduled", "reschedule")
_RUN_NOW = _Wanted("run {} now", "run now", "run now", "run_now")
_RUN_AGAIN = _Wanted("run {} again", "run again", "run again", "run_again")

#: What is raised where it was not done, and why it was not.
_REFUSALS: dict[InterventionResult, tuple[type[SchedulerError], str]] = {
    InterventionResult.RUNNING: (
        AlreadyStarted,
        "it is executing, or another transaction is changing it right now",
    ),
    InterventionResult.IN_PROGRESS: (AlreadyStarted, "it is executing (in_progress)"),
    InterventionResult.FINISHED: (AlreadyFinished, "it has finished ({state})"),
    InterventionResult.CANCELED: (AlreadyFinished, "it has finished ({state})"),
    InterventionResult.EXPIRES_BEFORE: (InvalidSchedule, "it expires before that time, and would never begin"),
    InterventionResult.UNFINISHED: (NotFinished, "it has not finished yet ({state})"),
    InterventionResult.MISSING: (FunctionNotFound, "there is no mutation or action of that name in the code any more"),
    InterventionResult.NO_RERUN: (CannotRunAgain, "its function is declared with rerun=False"),
}


class InterventionsById(ABC):
    """Runs functions that are on record now, at another time, or once more."""

    _caller: Running | None

    @property
    @abstractmethod
    def _alias(self) -> str: ...

    @abstractmethod
    def _require_no_options(self, nothing_was_done: str, instead: str) -> None:
        """Raise ``InvalidArguments`` if it has options, which belong to what is scheduled through it."""

    @_explains_refusals
    def reschedule(self, function_id: int, when: datetime | float, /) -> None:
        """Have a pending function run at another time, as part of this transaction.

        ``when`` is an aware ``datetime`` or a number of milliseconds since the epoch. In the past: due at once.
        ``scheduled_time`` stays what was asked for first.

        Raises ``InvalidSchedule``, ``UnknownScheduledFunction``, ``AlreadyFinished``, and ``AlreadyStarted`` if it is
        executing, or another transaction is changing it; neither is waited for. On SQLite this waits for a mutation
        that is executing, as every write does, and finds that it has finished.
        """
        ids = self._one(function_id, _RESCHEDULE)
        time = parse_for(f"The scheduled function {function_id} was not rescheduled.", parse_time, when)
        results = interventions.reschedule(self._alias, ids, time, self._caller)
        self._raise_unless_done(function_id, results, _RESCHEDULE)

    @_explains_refusals
    def reschedule_many(self, function_ids: Iterable[int], when: datetime | float, /) -> dict[int, InterventionResult]:
        """Have those of these functions that are pending run at another time, and return what became of each.

        Raises ``InvalidSchedule``.

        Example::

            results = ctx.scheduler.reschedule_many([7, 8], tomorrow)
            late = [pk for pk, result in results.items() if result is not InterventionResult.DONE]
        """
        ids = self._many(function_ids, _RESCHEDULE)
        time = parse_for(f"The scheduled functions {short_repr(ids)} were not rescheduled.", parse_time, when)
        return interventions.reschedule(self._alias, ids, time, self._caller)

    @_explains_refusals
    def run_now(self, function_id: int, /) -> None:
        """Make a pending function due at once, as part of this transaction. Raises what ``reschedule`` raises."""
        results = interventions.run_now(self._alias, self._one(function_id, _RUN_NOW), self._caller)
        self._raise_unless_done(function_id, results, _RUN_NOW)

    @_explains_refusals
    def run_now_many(self, function_ids: Iterable[int], /) -> dict[int, InterventionResult]:
        """Make those of these functions that are pending due at once, and return what became of each."""
        return interventions.run_now(self._alias, self._many(function_ids, _RUN_NOW), self._caller)

    @_explains_refusals
    def run_again(self, function_id: int, /) -> ScheduledFunctionId:
        """Schedule a function that has ended once more, due at once, and return the id of the new one.

        The new one has the same arguments and callbacks, and refers to the old one, which stays as it is, as
        ``rerun_of``. It has the queue, the priority and the expiry that its function has by now, and is no member of a
        batch. Like anything else that a function schedules, it has the function that calls this as its ``parent``, and
        is canceled if that one has been.

        Raises ``UnknownScheduledFunction``, ``NotFinished``, ``CannotRunAgain`` (``rerun=False``), ``FunctionNotFound``
        (it is gone from the code), ``TooManyScheduled``, ``ArgumentsTooLarge``.
        """
        ids = self._one(function_id, _RUN_AGAIN)
        results, new_ids = interventions.schedule_again(self._alias, ids, self._caller, ONE_BY_ONE)
        self._raise_unless_done(function_id, results, _RUN_AGAIN)
        return new_ids[function_id]

    @_explains_refusals
    def run_again_many(self, function_ids: Iterable[int], /) -> dict[int, InterventionResult]:
        """Schedule those of these functions that have ended once more, and return what became of each.

        The new ones refer to the old ones as ``rerun_of``. Raises ``TooManyScheduled`` and ``ArgumentsTooLarge``; the
        limits are those of bulk scheduling.
        """
        return interventions.run_again(self._alias, self._many(function_ids, _RUN_AGAIN), self._caller)

    async def areschedule(self, function_id: int, when: datetime | float, /) -> None:
        """Do what ``reschedule`` does, for async callers."""
        await sync_to_async(self.reschedule)(function_id, when)

    async def areschedule_many(
        self, function_ids: Iterable[int], when: datetime | float, /
    ) -> dict[int, InterventionResult]:
        """Do what ``reschedule_many`` does, for async callers."""
        return await sync_to_async(self.reschedule_many)(function_ids, when)

    async def arun_now(self, function_id: int, /) -> None:
        """Do what ``run_now`` does, for async callers."""
        await sync_to_async(self.run_now)(function_id)

    async def arun_now_many(self, function_ids: Iterable[int], /) -> dict[int, InterventionResult]:
        """Do what ``run_now_many`` does, for async callers."""
        return await sync_to_async(self.run_now_many)(function_ids)

    async def arun_again(self, function_id: int, /) -> ScheduledFunctionId:
        """Do what ``run_again`` does, for async callers."""
        return await sync_to_async(self.run_again)(function_id)

    async def arun_again_many(self, function_ids: Iterable[int], /) -> dict[int, InterventionResult]:
        """Do what ``run_again_many`` does, for async callers."""
        return await sync_to_async(self.run_again_many)(function_ids)

    def _one(self, function_id: int, wanted: _Wanted) -> list[int]:
        check_id(function_id, wanted.participle)
        return self._allowed([function_id], wanted, f"the scheduled function {function_id}")

    def _many(self, function_ids: Iterable[int], wanted: _Wanted) -> list[int]:
        if isinstance(function_ids, str | bytes) or not isinstance(function_ids, Iterable):
            raise TypeError(
                f"Nothing was {wanted.participle}: that takes the ids of scheduled functions, as in [7, 8], not"
                f" {short_repr(function_ids)}."
            )
        ids = list(function_ids)
        for function_id in ids:
            check_id(function_id, wanted.participle)
        return self._allowed(ids, wanted, "scheduled functions")

    def _allowed(self, ids: list[int], wanted: _Wanted, functions: str) -> list[int]:
        """Return the ids, if the caller may change anything here and now, and options have no part in it."""
        self._require_no_options(f"Nothing was {wanted.participle}", f"ctx.scheduler.{wanted.method}(...)")
        if self._caller is not None:
            self._caller.require_transaction(self._alias, wanted.to_what.format(functions))
        return ids

    def _raise_unless_done(self, function_id: int, results: Mapping[int, InterventionResult], wanted: _Wanted) -> None:
        result = results[function_id]
        if result is InterventionResult.DONE:
            return
        rows = ScheduledFunction.objects.using(self._alias).filter(pk=function_id)
        row = None if result is InterventionResult.GONE else rows.values_list("name", "state").first()
        if row is None:
            raise unknown(function_id, wanted.infinitive)
        name, state = row
        error, reason = _REFUSALS[result]
        raise error(f"{name} {function_id} cannot be {wanted.participle}: {reason.format(state=state)}.")
