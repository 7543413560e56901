"""``ctx`` gives a function the scheduler. It is the first parameter of every function, and can be imported.

The imported ``ctx`` is bound to whatever runs now; the one that a function receives is bound to that
function, wherever the function hands it.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from django_scheduler.crons import Crons
from django_scheduler.functions import (
    AnyReference,
    runs_action,
    runs_action_async,
    runs_mutation,
    runs_mutation_async,
)
from django_scheduler.models import ScheduledFunctionId
from django_scheduler.scheduling import Batch, Running, Scheduler, calls, names_async_twin, running

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

_names_async_twin = names_async_twin("ctx")


class Context:
    """Gives a function, a view or a service the scheduler, and says what is running."""

    def __init__(self, bound_to: Running | None = None) -> None:
        self._bound_to = bound_to

    if not TYPE_CHECKING:  # for a type checker ctx has the attributes that it has

        def __getattr__(self, attribute: str) -> object:
            if attribute.startswith("_") or not hasattr(Scheduler, attribute):
                raise AttributeError(f"ctx has no attribute {attribute!r}", name=attribute, obj=self)
            raise AttributeError(
                f"ctx has no .{attribute}(): write ctx.scheduler.{attribute}(...).", name=attribute, obj=None
            )

    @property
    def running(self) -> Running | None:
        """Return the function that this context belongs to, or ``None`` outside of any."""
        return self._bound_to or running.get()

    def bound_to(self, function: Running) -> Context:
        """Return a context for another function."""
        return type(self)(function)

    @property
    def scheduler(self) -> Scheduler:
        """Return what schedules and cancels functions, as part of the transaction that is open."""
        return Scheduler(self.running)

    @property
    def crons(self) -> Crons:
        """Return what registers, changes and pauses crons, as part of the transaction that is open."""
        return Crons(self.running)

    @property
    def function_id(self) -> ScheduledFunctionId | None:
        """Return the id of the scheduled function that is executing, or ``None`` if none is."""
        current = self.running
        return current.function_id if current else None

    @property
    def batch(self) -> Batch | None:
        """Return the batch that the scheduled function which is executing is a member of, to add members to it.

        ``None`` outside of one. What is scheduled through ``ctx.scheduler`` is no member.
        """
        current = self.running
        if current is None or current.batch_id is None:
            return None
        return Batch.of_member(current, current.batch_id)

    @property
    def user(self) -> AbstractBaseUser | AnonymousUser | None:
        """Return the user whose request called the function over HTTP; ``None`` in every other case.

        A scheduled function has none, even if it was scheduled by a mutation that a user's request called.
        """
        current = self.running
        return current.user if current else None

    @property
    def attempt(self) -> int | None:
        """Return which attempt of the scheduled function is executing, counted from 1; ``None`` if none is.

        Each time that the body begins is one, whatever ended the one before.
        """
        current = self.running
        return current.attempt if current and current.function_id is not None else None

    @property
    def idempotency_key(self) -> str | None:
        """Return a key that is the same in every attempt of the scheduled function; ``None`` if none is executing.

        For a service that acts once for each key, as payment providers do. No other function has the same one, nor has
        one of another database. A function that makes several such calls adds to it, as in
        ``f"{ctx.idempotency_key}-refund"``.
        """
        current = self.running
        return current.execution.idempotency_key if current and current.execution else None

    @property
    def deadline(self) -> datetime | None:
        """Return the time at which the timeout of the scheduled function that is executing ends.

        An aware ``datetime`` by the clock of the executor's host; ``None`` if there is no timeout, or if no scheduled
        function is executing.
        """
        current = self.running
        return current.execution.deadline if current and current.execution else None

    @property
    @_names_async_twin
    def canceled(self) -> bool:
        """Return whether the function should end early: a long action asks this now and then.

        True once the deadline has passed, the function has been canceled, or its process is about to end. It reads the
        function's record once a second at most, however often it is asked. In async code: ``await ctx.acanceled()``.

        Example::

            @action(timeout=timedelta(minutes=10))
            def import_prices(ctx, *, path: str) -> None:
                for line in read(path):
                    if ctx.canceled:
                        return
                    ...
        """
        current = self.running
        return current is not None and current.execution is not None and current.execution.should_end_early()

    async def acanceled(self) -> bool:
        """Return whether the function should end early, from async code, as ``canceled`` does."""
        return await sync_to_async(lambda: self.canceled)()

    @runs_mutation
    @_names_async_twin
    def run_mutation(self, function: AnyReference, /, *args: Any, **kwargs: Any) -> Any:
        """Run a mutation now and return what it returns.

        It has a transaction of its own, which is repeated after a transient error (a conflict, a lost connection,
        ``TransientError``); the mutation is then given the same arguments again, so it should not change them. Inside a
        transaction it is a savepoint: an exception that the caller catches undoes the mutation alone.

        Raises ``FunctionNotFound``, ``InvalidArguments``, ``BrokenTransaction``, and whatever the mutation raises.
        """
        return calls.run_mutation(self, function, args, kwargs)

    @runs_action
    @_names_async_twin
    def run_action(self, function: AnyReference, /, *args: Any, **kwargs: Any) -> Any:
        """Run an action now and return what it returns, also if it is async.

        Raises ``FunctionNotFound``, ``InvalidArguments``, ``SchedulerError`` inside a mutation (schedule the
        action there), and whatever the action raises.
        """
        return calls.run_action(self, function, args, kwargs)

    @runs_mutation_async
    async def arun_mutation(self, function: AnyReference, /, *args: Any, **kwargs: Any) -> Any:
        """Run a mutation now from async code, as ``run_mutation`` does."""
        return await calls.arun_mutation(self, function, args, kwargs)

    @runs_action_async
    async def arun_action(self, function: AnyReference, /, *args: Any, **kwargs: Any) -> Any:
        """Run an action now from async code, as ``run_action`` does."""
        return await calls.arun_action(self, function, args, kwargs)


#: Bound to whatever runs now: in a view, a service, the shell, or a function.
ctx: Context = Context()
