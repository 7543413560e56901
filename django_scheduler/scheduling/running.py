"""``running`` knows the function that the current code is part of.

A ``ContextVar`` carries it, so the imported ``ctx`` knows it in every service that a function calls, in
async code and across ``sync_to_async``. A thread that a function starts by itself does not inherit it;
the ``ctx`` that the function was given knows it there too.

A mutation's ``ctx`` may come to where the mutation's transaction is not: into another thread, which has a connection of
its own (the one of ``sync_to_async`` under ``asyncio.run`` among them), or to code that runs after the body. What it
wrote there would be committed although the mutation fails, and once more with each retry. So
``Running.require_transaction`` refuses it.
"""

import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import connections

from django_scheduler.databases import django_internals
from django_scheduler.errors import SchedulerError
from django_scheduler.models import Kind, ScheduledFunctionId

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class OwnTransaction:
    """Is the transaction that the body of a mutation runs in, from before one call of the body until that has ended.

    It is known by its ``atomic`` block. We have entered it for this body or, in a group, for those before it as well,
    so no other transaction has it, whoever begins one.
    """

    def __init__(self, function_name: str, using: str) -> None:
        self.function_name = function_name
        self._using = using
        self._block = django_internals.open_blocks(connections[using])[-1]
        self._body_has_ended = False

    def end(self) -> None:
        """Note that the body has ended, which may be before the transaction does."""
        self._body_has_ended = True

    def why_not_here(self) -> str | None:
        """Return why what is written now, in this thread, is not part of it; ``None`` if it is."""
        if self._body_has_ended:
            return "whose body has ended"
        connection = connections[self._using]
        if self._block not in django_internals.open_blocks(connection):
            return f"whose transaction is not open on the connection of this thread ({threading.current_thread().name})"
        if django_internals.was_closed_in_transaction(connection):
            return "which has closed its connection, and so ended its transaction"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Describes a function that runs now, and what scheduled function it is part of."""

    #: What kind of function it is.
    kind: Kind
    #: The database that it runs on, and that it schedules in.
    using: str
    #: The scheduled function that is executing, which may have called this one; ``None`` where a view or a service
    #: called the function itself.
    function_id: ScheduledFunctionId | None = None
    #: If it is a mutation: the transaction that it is part of.
    transaction: OwnTransaction | None = None
    #: The kind of that scheduled function.
    scheduled_kind: Kind | None = None
    #: Which executor executes it, and which attempt this is.
    executor_name: str = ""
    attempt: int = 0
    #: The user whose request called it over HTTP; ``None`` for everything else.
    user: "AbstractBaseUser | AnonymousUser | None" = None
    #: When its timeout ends; ``None``: never.
    deadline: datetime | None = None
    #: Says whether it should end early.
    should_end_early: Callable[[], bool] = lambda: False

    def require_transaction(self, using: str, what: str) -> None:
        """Raise ``SchedulerError`` if this is a mutation whose transaction in that database is not open here.

        ``what`` it wants to do: "schedule orders:archive_order".
        """
        if self.transaction is None or self.using != using:
            return
        if problem := self.transaction.why_not_here():
            mutation = self.transaction.function_name
            if self.function_id is not None:
                mutation = f"{mutation} {self.function_id}"
            raise SchedulerError(
                f"Cannot {what}: this ctx belongs to the mutation {mutation}, {problem}. It would take effect although"
                " the mutation fails, and again with each retry, so nothing was done. Do it within the body, in the"
                " thread that runs it: from async code with async_to_sync instead of asyncio.run, and without"
                " on_commit, because it takes effect only if the mutation commits. What is not part of the mutation"
                " imports ctx, or is an action."
            )


running: ContextVar[Running | None] = ContextVar("django_scheduler.running", default=None)
