"""A batch is scheduled in a block, and what follows it once all of its members have ended.

``ctx.scheduler.batch()`` opens the block, and ``ctx.batch`` adds members to the batch of the function that executes.
What a batch counts is in ``record/batches.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar

from django.core.exceptions import SynchronousOnlyOperation
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from django_scheduler.databases import database_for
from django_scheduler.errors import AlreadyFinished, SchedulerError
from django_scheduler.models import Batch
from django_scheduler.record import batches
from django_scheduler.scheduling.refusals import is_in_event_loop
from django_scheduler.scheduling.running import Running

B = TypeVar("B")

IN_ASYNC_CODE = (
    "The block of ctx.scheduler.batch() is a transaction, and those of Django are synchronous. Nothing was scheduled."
    " In async code, write a function that has the block, and await sync_to_async(that_function)()."
)


@dataclass(slots=True, eq=False)
class Membership:
    """Says which batch functions are to be members of, and whether they may be."""

    id: int
    using: str
    #: The connection whose transaction is the block in which the batch is made, while that is open; and whether it has
    #: ended. Else it is a member's.
    connection: BaseDatabaseWrapper | None = None
    is_closed: bool = False

    def require_open(self, using: str, name: str) -> None:
        """Raise ``SchedulerError`` if what is scheduled in that database, a function of that name, can be no member."""
        if using != self.using:
            raise SchedulerError(
                f"{name} was not scheduled: the batch {self.id} is in the database {self.using!r}, and its members"
                f" cannot be in {using!r}."
            )
        if self.is_closed:
            raise SchedulerError(
                f"{name} was not scheduled: the block of the batch {self.id} has ended. Schedule its members within"
                " the block, or in a member with ctx.batch."
            )
        if self.connection is not None and connections[using] is not self.connection:
            raise SchedulerError(
                f"{name} was not scheduled: the block of the batch {self.id} is a transaction of another thread, so it"
                " would be no member. Schedule its members in the thread that has opened the block."
            )

    def count(self, number: int, name: str) -> None:
        """Count so many functions of that name, which are scheduled by the transaction that is open.

        Raises ``AlreadyFinished`` if the batch has ended.
        """
        if self.connection is not None:
            return  # what the block schedules is counted at its end
        if not batches.count_added(database_for(self.using), self.id, number):
            raise AlreadyFinished(
                f"{name} was not scheduled: the batch {self.id} has ended. The function that adds to it has ended too,"
                " or was taken for lost."
            )


class BatchBlock(AbstractContextManager[B], Generic[B]):
    """Is what ``ctx.scheduler.batch()`` returns: a block, in which members are scheduled through what it gives."""

    def __init__(self, open_it: Callable[[], AbstractContextManager[B]]) -> None:
        self._open_it = open_it
        self._opened: AbstractContextManager[B] | None = None

    def __enter__(self) -> B:
        if self._opened is not None:
            raise SchedulerError(
                "The block of this batch was opened already. Call ctx.scheduler.batch() once for each."
            )
        self._opened = self._open_it()
        try:
            return self._opened.__enter__()
        except SynchronousOnlyOperation as error:
            if not is_in_event_loop():
                raise  # somebody's own async code, which was called from here
            raise SynchronousOnlyOperation(IN_ASYNC_CODE) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        assert self._opened is not None
        return self._opened.__exit__(kind, error, traceback)

    if not TYPE_CHECKING:  # for a type checker it has the attributes that it has

        async def __aenter__(self) -> NoReturn:
            raise SynchronousOnlyOperation(IN_ASYNC_CODE)

        async def __aexit__(self, *error: object) -> None: ...

        def __getattr__(self, attribute: str) -> NoReturn:
            raise AttributeError(
                f"ctx.scheduler.batch() is a block, and has no {attribute!r}. Nothing was scheduled. Write `with"
                " ctx.scheduler.batch(...) as batch:`, and schedule its members within, with batch.run_after(...).",
                name=attribute,
                obj=None,  # otherwise Python adds a suggestion
            )


@contextmanager
def open_batch(using: str, caller: Running | None, callbacks: str | None, context: str | None) -> Iterator[Membership]:
    """Make a batch, whose members are scheduled within the block; all of it is one transaction, or a savepoint."""
    if caller is not None:
        caller.require_transaction(using, "schedule a batch")
    database = database_for(using)
    with transaction.atomic(using=using):
        batch = Batch.objects.using(using).create(
            callbacks=None if callbacks is None else json.loads(callbacks),
            context=None if context is None else json.loads(context),
            parent_id=caller.id_in(using) if caller is not None else None,
            creation_time=database.current_time(),
        )
        membership = Membership(batch.pk, using, connections[using])
        try:
            yield membership
        finally:
            membership.is_closed, membership.connection = True, None
        batches.seal(database, batch.pk)
