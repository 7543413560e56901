"""``running`` knows the function that the current code is part of, and ``request_context`` the request that it serves.

A ``ContextVar`` carries it, so the imported ``ctx`` knows it in every service that a function calls, in
async code and across ``sync_to_async``. A thread that a function starts by itself does not inherit it;
the ``ctx`` that the function was given knows it there too.

A mutation's ``ctx`` may come to where the mutation's transaction is not: into another thread, which has a connection of
its own (the one of ``sync_to_async`` under ``asyncio.run`` among them), or to code that runs after the body. What it
wrote there would be committed although the mutation fails, and once more with each retry. So
``Running.require_transaction`` refuses it.
"""

from collections.abc import Callable, Collection
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from django_scheduler.errors import SchedulerError
from django_scheduler.models import Kind, ScheduledFunctionId
from django_scheduler.transactions import OwnTransaction

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class ExecutionView(Protocol):
    """Is what ``ctx`` asks of an execution: until when the body may run, whether it is still wanted, and its key."""

    @property
    def deadline(self) -> datetime | None: ...

    @property
    def idempotency_key(self) -> str: ...

    def should_end_early(self) -> bool: ...


@dataclass(slots=True, kw_only=True, eq=False)
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
    #: What is known of the request that caused it, as JSON; what it schedules is caused by the same.
    scheduling_context: str | None = None
    #: Which batch that scheduled function is a member of.
    batch_id: int | None = None
    #: The functions whose bodies may run in the same transaction, which has locked them.
    shares_with: Collection[ScheduledFunctionId] = ()
    #: What executes that scheduled function: it knows until when the body may run, and whether it is still wanted.
    execution: ExecutionView | None = None

    def id_in(self, using: str) -> ScheduledFunctionId | None:
        """Return the id of the scheduled function that is executing, if it is on record in that database."""
        return self.function_id if self.using == using else None

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
                " thread that runs it: from async code with async_to_sync instead of asyncio.run."
                " For what is not to be part of the mutation, use the imported ctx, or an action."
            )


#: What is known of a request, in the context of what it has caused. Middleware adds other keys.
KEYS_OF_REQUESTS = ("request_id", "user_id", "user")

#: Tells, as JSON, what is known of the request that the current code serves.
request_context: ContextVar[Callable[[], str | None] | None] = ContextVar(
    "django_scheduler.request_context", default=None
)

running: ContextVar[Running | None] = ContextVar("django_scheduler.running", default=None)
