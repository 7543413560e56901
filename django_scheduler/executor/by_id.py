"""Execution by id: one scheduled function, executed now, in this thread, by whoever was sent its id.

The promises are those of an executor, because the record makes them: the function is claimed under its lock, only
while it is pending, and it is executed in the same three moments. So it does not matter how often an id is sent, nor
to how many workers at once: one of them executes it, and for the others there is nothing to do.

The process is on record while it lives (``membership.py``), so that its actions are recorded as lost when it dies.
"""

from contextvars import Context

from django.db import connections, router, transaction

from django_scheduler import fleet
from django_scheduler.conf import get_settings
from django_scheduler.databases import Database, database_for
from django_scheduler.errors import SchedulerError
from django_scheduler.executor import membership
from django_scheduler.executor.choice import execution_of
from django_scheduler.executor.execution import SingleExecution
from django_scheduler.executor.session import executor_session, is_in_transaction
from django_scheduler.models import ScheduledFunction


def execute(function_id: int, *, using: str | None = None) -> bool:
    """Execute a scheduled function if it is pending and due; whether there was anything to do.

    What becomes of it is on record; nothing that the function raises is raised here. The thread's connections are
    closed before and after.

    Raises ``SchedulerError`` inside a transaction, and the database's errors while nothing has begun.

    Example::

        execute(7)
    """
    using = using or router.db_for_write(ScheduledFunction)
    if is_in_transaction(connections[using]):
        raise SchedulerError(f"The scheduled function {function_id} cannot be executed inside of a transaction.")
    # Nothing of the caller's context reaches the function: not what runs there, nor an event loop that waits for us,
    # whose thread an async function would wait for in turn.
    return Context().run(_execute_in_session, function_id, database_for(using))


def _execute_in_session(function_id: int, database: Database) -> bool:
    with executor_session(database):
        return _execute(function_id, database, membership.executor_name(database))


def _execute(function_id: int, database: Database, executor_name: str) -> bool:
    execution: SingleExecution | None = None
    timeout = get_settings().HAND_OVER_TIMEOUT
    try:
        with transaction.atomic(using=database.using, durable=True):
            claimed = database.claim_id(function_id, handed_over_within=timeout, at_most=fleet.LONGEST_WAIT * timeout)
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
