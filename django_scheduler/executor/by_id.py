"""How a worker process of a fleet (``fleet.py``) is a member of the executors: it is on record as one of them, from
the first function that it executes by id until its end.

It has a row and a heartbeat, so whoever looks for lost actions sees when it is gone; and it looks for those of others.
A process that was forked from one on record is another one, and registers by itself.

Execution by id: one scheduled function, executed now, in this thread, by whoever was sent its id.

The promises are those of an executor, because the record makes them: the function is claimed under its lock, only
while it is pending, and it is executed in the same three moments. So it does not matter how often an id is sent, nor
to how many workers at once: one of them executes it, and for the others there is nothing to do.

The process is on record while it lives (``membership.py``), so that its actions are recorded as lost when it dies.
"""

import atexit
import os
import threading
from contextvars import Context
from dataclasses import dataclass, field

from django.db import connections, router, transaction

from django_scheduler.conf import get_settings
from django_scheduler.databases import Database, connection_state, database_for
from django_scheduler.errors import SchedulerError
from django_scheduler.executor.execution import SingleExecution
from django_scheduler.executor.heartbeat import Registration
from django_scheduler.executor.recovery import recover_lost_actions
from django_scheduler.executor.session import executor_session
from django_scheduler.executor.threads import SideTask, run_errand
from django_scheduler.executor.worker import execution_of
from django_scheduler.models import ScheduledFunction
from django_scheduler.telemetry import warn

#: How many times ``HAND_OVER_TIMEOUT`` a function that was handed over is left to its fleet, at most.
LONGEST_WAIT = 10

#: For how long the end of a process waits for the database, in seconds.
PATIENCE = 2.0


@dataclass(slots=True)
class _Member:
    registration: Registration
    stopping: threading.Event = field(default_factory=threading.Event)
    side_tasks: list[SideTask] = field(default_factory=list)


_joining = threading.Lock()
_members: dict[str, _Member] = {}


def _forget_the_parent() -> None:
    global _joining
    _joining = threading.Lock()  # another thread of the parent may have held it
    _members.clear()


def executor_name(database: Database) -> str:
    """Under which this process is on record; it joins when it first asks."""
    with _joining:
        member = _members.get(database.using)
        if member is None:
            member = _members[database.using] = _join(database)
        return member.registration.name


def leave() -> None:
    """Be off the record, as at the end of the process."""
    with _joining:
        for member in _members.values():
            _leave(member)
        _members.clear()


def _join(database: Database) -> _Member:
    # What runs in which of its threads, the fleet knows.
    member = _Member(Registration(database, queues=[], concurrency=1, running=list))
    member.registration.register()
    interval = get_settings().HEARTBEAT_INTERVAL.total_seconds()
    member.side_tasks = [
        SideTask("heartbeat", member.registration.beat, interval=interval, stopping=member.stopping),
        SideTask("recovery", lambda: recover_lost_actions(database), interval=interval, stopping=member.stopping),
    ]
    for side_task in member.side_tasks:
        side_task.start()
    return member


def _leave(member: _Member) -> None:
    member.stopping.set()
    for side_task in member.side_tasks:
        side_task.join(PATIENCE)
    try:
        run_errand(member.registration.unregister, timeout=PATIENCE)
    except Exception as error:
        warn("%s could not take its leave of the database: %r", member.registration.name, error)


atexit.register(leave)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parent)


def execute(function_id: int, *, using: str | None = None) -> bool:
    """Execute a scheduled function if it is pending and due; whether there was anything to do.

    What becomes of it is on record; nothing that the function raises is raised here. The thread's connections are
    closed before and after.

    Raises ``SchedulerError`` inside a transaction, and the database's errors while nothing has begun.

    Example::

        execute(7)
    """
    using = using or router.db_for_write(ScheduledFunction)
    if connection_state.is_in_transaction(connections[using]):
        raise SchedulerError(f"The scheduled function {function_id} cannot be executed inside of a transaction.")
    # Nothing of the caller's context reaches the function: not what runs there, nor an event loop that waits for us,
    # whose thread an async function would wait for in turn.
    return Context().run(_execute_in_session, function_id, database_for(using))


def _execute_in_session(function_id: int, database: Database) -> bool:
    with executor_session(database):
        return _execute(function_id, database, executor_name(database))


def _execute(function_id: int, database: Database, executor_name: str) -> bool:
    execution: SingleExecution | None = None
    timeout = get_settings().HAND_OVER_TIMEOUT
    try:
        with transaction.atomic(using=database.using, durable=True):
            claimed = database.claim_id(function_id, handed_over_within=timeout, at_most=LONGEST_WAIT * timeout)
            if claimed is not None:
                execution = execution_of(claimed, database, executor_name)
                execution.in_transaction()
    except BaseException as error:
        if execution is None:
            raise
        execution.after_rollback(error)
    else:
        if execution is None:
            return False
        execution.after_commit()
    return True
