"""``ctx.crons``: registers, changes, pauses and runs crons at run time, as part of the transaction that is open."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.db import IntegrityError, router, transaction

from django_scheduler import values
from django_scheduler.crons import definitions, history, reconcile
from django_scheduler.crons.definitions import Definition, problem_with_name, stored_args
from django_scheduler.crons.firing import schedule_run
from django_scheduler.crons.models import Cron, CronState, Origin, columns_of, lock
from django_scheduler.crons.schedules import Schedule, checked_schedule
from django_scheduler.databases import Database, database_for, require_alias
from django_scheduler.errors import CronDefinedInCode, CronExists, CronUnfinished, InvalidArguments, UnknownCron
from django_scheduler.functions import AnyReference, registers_cron, resolve_to_schedule
from django_scheduler.models import ScheduledFunctionId
from django_scheduler.record import wakeup
from django_scheduler.scheduling import Running, explains_refusals
from django_scheduler.suggestions import did_you_mean
from django_scheduler.values import require_plain_text, short_repr

_explains_refusals = explains_refusals("ctx.crons")


class Crons:
    """Registers, changes, pauses and runs crons.

    Everything that it does is part of the transaction that is open, and is undone with it. Outside of a transaction
    each call takes effect at once. For each method there is another one for async code, whose name begins with
    ``a``.
    """

    def __init__(self, caller: Running | None = None, using: str | None = None) -> None:
        self._caller = caller
        self._using = using

    @property
    def _alias(self) -> str:
        if self._using:
            return self._using
        return self._caller.using if self._caller else router.db_for_write(Cron)

    @property
    def _database(self) -> Database:
        return database_for(self._alias)

    def using(self, alias: str) -> Crons:
        """Return the crons of another database; what they do is part of that one's transaction.

        Raises ``ConnectionDoesNotExist``, as Django does, for an alias that is not in ``DATABASES``.
        """
        require_alias(alias)
        return Crons(self._caller, alias)

    @registers_cron
    @_explains_refusals
    def register(self, name: str, schedule: Schedule, function: AnyReference, /, *args: Any, **kwargs: Any) -> Cron:
        """Register a cron: the function is scheduled with these arguments whenever the schedule says so.

        An interval begins with a run at once.

        Raises ``CronExists``, ``InvalidSchedule`` (also for a name that is not printable ASCII),
        ``FunctionNotFound``, ``InvalidArguments``.

        Example::

            ctx.crons.register("digest of 7", crons.Daily(hour=7), send_digest, shop_id=7)
        """
        self._require_transaction(name)
        definition = Definition(name, schedule, function, args, kwargs)
        cron = definition.new_cron(Origin.RUN_TIME, self._database.current_time())
        self._adopt_what_is_missing(name)
        if Cron.objects.using(self._alias).filter(name__iexact=name).exists():
            raise _taken(name)
        try:
            with transaction.atomic(using=self._alias):
                cron.save(using=self._alias, force_insert=True)
        except IntegrityError as error:  # somebody has just taken it: nothing else of a cron is unique
            raise _taken(name) from error
        self._wake_executors()
        return cron

    @_explains_refusals
    def update(
        self,
        name: str,
        /,
        *,
        schedule: Schedule | None = None,
        function: AnyReference | None = None,
        args: Mapping[str, Any] | None = None,
    ) -> Cron:
        """Change the schedule, the function or the arguments of a cron that was registered at run time.

        The next run is computed anew only if the schedule's times have changed. An interval keeps its grid.

        Raises ``UnknownCron``, ``CronDefinedInCode``, and what ``register`` raises.
        """
        if not isinstance(args, Mapping | None):
            raise InvalidArguments(
                f"The cron {name!r} was not changed: args= is a dict of arguments by their names, not"
                f" {short_repr(args)}."
            )
        with self._changing(name) as cron:
            _refuse_what_is_in_code(cron, "changed")
            if function is not None or args is not None:
                arguments = values.load_arguments(cron.function, cron.args) if args is None else dict(args)
                target = resolve_to_schedule(cron.function if function is None else function)
                cron.function, cron.args = target.name, stored_args(target, (), arguments)
            if schedule is not None:
                cron.set_columns(columns_of(checked_schedule(schedule).for_cron(name)), self._database.current_time())
        self._wake_executors()
        return cron

    @_explains_refusals
    def pause(self, name: str, reason: str = "", /) -> None:
        """Pause a cron until it is resumed. A run that has begun goes on.

        Raises ``UnknownCron``, and ``TypeError`` or ``ValueError`` for a reason that no database takes.
        """
        require_plain_text(reason=reason)
        with self._changing(name) as cron:
            history.pause(cron, reason, self._database.current_time())

    @_explains_refusals
    def resume(self, name: str, /) -> None:
        """Resume a paused cron with its next slot. Those that came up meanwhile are not caught up with.

        Raises ``UnknownCron``.
        """
        with self._changing(name) as cron:
            if cron.paused_time is None:
                return
            cron.paused_time = None
            cron.paused_reason = ""
            cron.failures = 0
            if cron.removed_time is None:
                cron.next_time = cron.next_slot(self._database.current_time())
        self._wake_executors()

    @_explains_refusals
    def run_now(self, name: str, /) -> ScheduledFunctionId:
        """Run a cron now, in addition to its slots, and return the id of the scheduled function.

        A paused cron stays paused.

        Raises ``UnknownCron``, ``CronUnfinished`` if its previous run is unfinished, and what
        ``ctx.scheduler.run_after`` raises.
        """
        with self._changing(name) as cron:
            if cron.state is CronState.REMOVED and name not in definitions.defined_crons:
                raise UnknownCron(f"The cron {name!r} is no longer in the code, so it does not run.")
            now = self._database.current_time()
            if (run := history.settle_last_run(self._database, cron, now)) is not None:
                raise CronUnfinished(
                    f"The cron {name!r} cannot run now: its previous run, the scheduled function {run.function_id}, is"
                    " unfinished, and two never run at a time. Cancel that one, or wait for its end."
                )
            return schedule_run(self._database, cron, now, caller=self._caller)

    @_explains_refusals
    def delete(self, name: str, /) -> None:
        """Delete a cron and its history. A run that has begun goes on.

        Raises ``UnknownCron``, and ``CronDefinedInCode`` as long as the code defines it.
        """
        self._require_transaction(name)
        with transaction.atomic(using=self._alias):
            cron = self._locked(name)
            if cron.state is not CronState.REMOVED:
                _refuse_what_is_in_code(cron, "deleted")
            cron.delete(using=self._alias)

    @_explains_refusals
    def get(self, name: str, /) -> Cron:
        """Return a cron as it is on record.

        Raises ``UnknownCron``.
        """
        self._adopt_what_is_missing(name)
        cron = None if problem_with_name(name) else Cron.objects.using(self._alias).filter(name=name).first()
        if cron is None:
            raise self._unknown(name)
        return cron

    @_explains_refusals
    def list(self) -> builtins.list[Cron]:
        """Return all crons, by name."""
        reconcile.adopt_what_is_missing(self._database)
        return [*Cron.objects.using(self._alias).order_by("name")]

    @registers_cron
    async def aregister(
        self, name: str, schedule: Schedule, function: AnyReference, /, *args: Any, **kwargs: Any
    ) -> Cron:
        """Register a cron from async code, as ``register`` does."""
        return await sync_to_async(partial(self.register, name, schedule, function, *args, **kwargs))()

    async def aupdate(
        self,
        name: str,
        /,
        *,
        schedule: Schedule | None = None,
        function: AnyReference | None = None,
        args: Mapping[str, Any] | None = None,
    ) -> Cron:
        """Change a cron from async code, as ``update`` does."""
        return await sync_to_async(self.update)(name, schedule=schedule, function=function, args=args)

    async def apause(self, name: str, reason: str = "", /) -> None:
        """Pause a cron from async code, as ``pause`` does."""
        await sync_to_async(self.pause)(name, reason)

    async def aresume(self, name: str, /) -> None:
        """Resume a cron from async code, as ``resume`` does."""
        await sync_to_async(self.resume)(name)

    async def arun_now(self, name: str, /) -> ScheduledFunctionId:
        """Run a cron now from async code, as ``run_now`` does."""
        return await sync_to_async(self.run_now)(name)

    async def adelete(self, name: str, /) -> None:
        """Delete a cron from async code, as ``delete`` does."""
        await sync_to_async(self.delete)(name)

    async def aget(self, name: str, /) -> Cron:
        """Return a cron from async code, as ``get`` does."""
        return await sync_to_async(self.get)(name)

    async def alist(self) -> builtins.list[Cron]:
        """Return all crons from async code, as ``list`` does."""
        return await sync_to_async(self.list)()

    def _adopt_what_is_missing(self, name: str) -> None:
        """Put a cron that the code defines on record, with the others, if no executor has done so yet."""
        if name in definitions.defined_crons:
            reconcile.adopt_what_is_missing(self._database)

    def _locked(self, name: str) -> Cron:
        self._adopt_what_is_missing(name)
        cron = None if problem_with_name(name) else lock(self._database, name=name)
        if cron is None:
            raise self._unknown(name)
        return cron

    def _unknown(self, name: object) -> UnknownCron:
        names = Cron.objects.using(self._alias).values_list("name", flat=True)
        return UnknownCron(
            f"There is no cron {short_repr(name)}: it was never registered, was rolled back, or has been deleted."
            f"{did_you_mean(name, names)}"
        )

    @contextmanager
    def _changing(self, name: str) -> Iterator[Cron]:
        """Lock a cron, and save it at the end, in one transaction. Raises ``UnknownCron``."""
        self._require_transaction(name)
        with transaction.atomic(using=self._alias):
            cron = self._locked(name)
            yield cron
            cron.save(using=self._alias)

    def _require_transaction(self, name: str) -> None:
        if self._caller is not None:
            self._caller.require_transaction(self._alias, f"change the cron {name!r}")

    def _wake_executors(self) -> None:
        """Wake executors once the transaction commits; at once outside of one."""
        wakeup.send_after_commit(self._alias)


def _refuse_what_is_in_code(cron: Cron, verb: str) -> None:
    if cron.origin == Origin.CODE:
        raise CronDefinedInCode(
            f"The cron {cron.name!r} is defined in code and cannot be {verb} at run time: change the code. To stop it"
            " meanwhile, pause it."
        )


def _taken(name: str) -> CronExists:
    return CronExists(f"There is a cron {name!r} already: update it, or choose another name.")
