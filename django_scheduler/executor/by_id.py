"""Execution by id: a process that was sent the id of a scheduled function executes it now, in this thread.

The promises are those of an executor, because the record makes them: the function is claimed under its lock, only
while it is pending, and only when it is due or has been handed over; and it is executed in the same three moments. So
it does not matter how often an id is sent, nor to how many fleet workers at once: one of them executes it, and for the
others there is nothing to do.

A process is on record as an executor from the first function that it executes by id until it ends. It has a
row and a heartbeat, so that its actions are recorded as lost when it dies; and it looks for those of others. A process
that was forked from one on record is another one, and registers by itself.
"""

import atexit
import os
import threading
from collections.abc import Callable
from contextvars import Context
from functools import partial

from django.db import connections, router, transaction

from django_scheduler.databases import Database, database_for, django_internals
from django_scheduler.errors import SchedulerError
from django_scheduler.executor.answer_timeout import awaiting_answer, awaiting_each_answer
from django_scheduler.executor.body import FunctionExecution
from django_scheduler.executor.execution import Execution, SingleExecution
from django_scheduler.executor.heartbeat import END_TIMEOUT, Registration
from django_scheduler.executor.limit_watch import LimitWatch
from django_scheduler.executor.limits import admit
from django_scheduler.executor.rates import StartingGroup, claim_put_aside
from django_scheduler.executor.recovery import Recovery
from django_scheduler.executor.second_session import SecondSession
from django_scheduler.executor.session import executor_session
from django_scheduler.executor.waiting import SlotsMissing, WaitingGroup
from django_scheduler.executor.worker import execution_of
from django_scheduler.models import LARGEST_ID, ScheduledFunction
from django_scheduler.record import forget_traceback
from django_scheduler.scheduling import middleware_chain


def execute(function_id: int, *, using: str | None = None) -> bool:
    """Execute a scheduled function if it is pending, and due or handed over; return whether there was anything to do.

    What becomes of it is on record; nothing that the function raises is raised here. This thread's connection to that
    database is closed before, and all of its connections after.

    Raises ``TypeError`` for an id that is no ``int``, ``SchedulerError`` inside a transaction, and the database's
    errors while nothing has begun.

    Example::

        execute(7)
    """
    if isinstance(function_id, bool) or not isinstance(function_id, int):  # MySQL would take "7 or so" for 7
        raise TypeError(f"The id of a scheduled function is an int, not {type(function_id).__name__}.")
    if not 0 < function_id <= LARGEST_ID:
        return False
    using = using or router.db_for_write(ScheduledFunction)
    if django_internals.is_in_transaction(connections[using]):
        raise SchedulerError(
            f"The scheduled function {function_id} cannot be executed inside of a transaction: call execute() after it"
            " has ended."
        )
    middleware_chain.make_chain()  # what is wrong with it is the caller's, and fails no function
    # Nothing of the caller's context reaches the function: neither what runs there, nor an event loop that waits for
    # us, and whose thread an async function would wait for.
    return Context().run(_execute_in_session, function_id, database_for(using))


def _execute_in_session(function_id: int, database: Database) -> bool:
    with executor_session(database):
        executor = _executor(database)

        def claim() -> SingleExecution | None:
            claimed = database.claim_handed_over(function_id)
            return None if claimed is None else execution_of(claimed, database, executor.registration.name)

        return _execute(claim, database, executor)


def _execute(claim: Callable[[], SingleExecution | None], database: Database, executor: "_OnRecord") -> bool:
    while True:
        try:
            return _claim_and_execute(claim, database, executor)
        except SlotsMissing as error:
            slots = error.slots
        with awaiting_answer():
            database.add_slots(slots)


def _claim_and_execute(claim: Callable[[], SingleExecution | None], database: Database, executor: "_OnRecord") -> bool:
    execution: Execution | None = None
    error: BaseException | None = None
    try:
        with awaiting_answer(), transaction.atomic(using=database.using, durable=True):
            claimed = claim()
            if claimed is not None:
                execution = admit(claimed, database, executor.registration.name, executor.second_session, [])
                if isinstance(execution, StartingGroup):
                    execution.execute = partial(_execute_put_aside, executor)
                execution.in_transaction()
    except BaseException as raised:
        if execution is None:
            raise
        error = raised
    if execution is None:
        return False
    try:
        # Not within the except block: the body of an action would see the error as being handled.
        if error is None:
            execution.after_commit()
        else:
            execution.after_rollback(error)
    finally:
        if error is not None:
            forget_traceback(error)  # its frames may hold cursors
    if isinstance(execution, WaitingGroup):
        executor.limit_watch.something_waits()
    if isinstance(execution, SingleExecution) and execution.stop_request is not None:
        raise execution.stop_request  # the caller's own, who is to be stopped, and not the function's
    return True


def _execute_put_aside(executor: "_OnRecord", first: FunctionExecution) -> None:
    make = partial(execution_of, database=first.database, executor_name=executor.registration.name)
    _execute(partial(claim_put_aside, first, make), first.database, executor)


class _OnRecord:
    """Keeps this process on record as an executor of one database."""

    def __init__(self, database: Database) -> None:
        # The fleet decides what runs in which thread of this process, so we record nothing about it: no thread of it
        # looks for what is due.
        self.registration = Registration(database, queues=[], concurrency=0, running=list)
        with awaiting_each_answer(database):
            self.registration.register()
        self._stopping = threading.Event()
        self.limit_watch = LimitWatch(database, self._stopping)
        self.second_session = SecondSession(database)
        self._recovery = Recovery(database, self.registration, self.limit_watch.remind)
        self._side_tasks = [*self._recovery.side_tasks(self._stopping), self.limit_watch.side_task()]
        for thread in self._side_tasks:
            thread.start()

    def end(self) -> None:
        """Stop the side tasks and remove the row."""
        self._stopping.set()
        self._recovery.stop()
        self.limit_watch.stop()
        self.second_session.stop()
        for thread in self._side_tasks:
            thread.join(END_TIMEOUT)
        self.registration.make_last_record(self.registration.unregister, "remove its row")


#: Held while this process registers, which may take as long as the database likes. So its end does not ask for it.
_registering = threading.Lock()
_on_record: dict[str, _OnRecord] = {}


def _executor(database: Database) -> _OnRecord:
    """Return the executor that this process is on record as, and register it the first time."""
    on_record = _on_record.get(database.using)
    if on_record is None:
        with _registering:
            on_record = _on_record.get(database.using)
            if on_record is None:
                on_record = _on_record[database.using] = _OnRecord(database)
    return on_record


def leave() -> None:
    """Remove the rows of this process, as at its end, where the database answers in time.

    A row that a thread is just writing stays. An executor that looks for those that are gone removes it.
    """
    for using in list(_on_record):
        _on_record.pop(using).end()


def _forget_the_parent() -> None:
    global _registering
    _registering = threading.Lock()  # another thread of the parent may have held it
    _on_record.clear()


atexit.register(leave)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parent)
