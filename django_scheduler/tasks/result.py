"""The result of a task says in Django's words what became of it, and signals announce it.

====================  =================  ==========================================================
on record             for Django
====================  =================  ==========================================================
``pending``           ``READY``          also while a mutation executes, which shows only its end
``in_progress``       ``RUNNING``
``success``           ``SUCCESSFUL``
``failed``            ``FAILED``
``canceled``          ``FAILED``         with the error ``django_scheduler.errors.Canceled``
====================  =================  ==========================================================

The row keeps the last attempts that were repeated, each with its executor and its error: these are in ``worker_ids``
and ``errors``. Of attempts before it keeps the number, so ``worker_ids`` repeats the first one that is known for them.

A receiver of a signal may raise, or break a statement, and changes nothing by it. A signal may be sent while a
transaction is open that is not ours to break: the caller's when a task is enqueued, the mutation's when it starts. So
receivers run within a savepoint there, which takes back what they have broken. Where only Django's own receiver
listens, which logs, the two statements are saved.
"""

from __future__ import annotations

import builtins
import re
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from django.db import connections, transaction
from django.dispatch import Signal
from django.tasks import TaskResult, TaskResultStatus, task_backends
from django.tasks.base import TaskError
from django.tasks.signals import task_finished

from django_scheduler import errors, tasks
from django_scheduler.databases import django_internals
from django_scheduler.models import ScheduledFunction, State
from django_scheduler.scheduling import Running
from django_scheduler.tasks.task import AnyTask, find_task, with_values
from django_scheduler.telemetry import warn

_STATUS = {
    State.PENDING: TaskResultStatus.READY,
    State.IN_PROGRESS: TaskResultStatus.RUNNING,
    State.SUCCESS: TaskResultStatus.SUCCESSFUL,
    State.FAILED: TaskResultStatus.FAILED,
    State.CANCELED: TaskResultStatus.FAILED,
}


def result_of(row: ScheduledFunction, task: AnyTask) -> TaskResult[..., Any]:
    """Return what the record says now of a task that was enqueued."""
    state = State(row.state)
    result = _result(
        row,
        task,
        status=_STATUS[state],
        worker_ids=_worker_ids(row, row.attempts, row.executor),
        started_at=row.started_time,
        finished_at=row.completed_time,
        errors=_errors(row),
    )
    if state is State.SUCCESS:
        object.__setattr__(result, "_return_value", row.decoded_result())
    return result


def running_result(row: ScheduledFunction, task: AnyTask, running: Running, now: datetime) -> TaskResult[..., Any]:
    """Return the result for the task itself while it runs, of which a mutation's row shows nothing yet."""
    return _result(
        row,
        task,
        status=TaskResultStatus.RUNNING,
        worker_ids=_worker_ids(row, running.attempt, running.executor_name),
        started_at=row.started_time or now,
        finished_at=None,
        errors=_errors(row),
    )


def announce(signal: Signal, result: TaskResult[..., Any], using: str) -> None:
    """Tell the signal's receivers of the task that ``result`` is about."""
    try:
        with ExitStack() as savepoint:
            if django_internals.is_in_atomic_block(connections[using]) and len(signal.receivers) > 1:
                savepoint.enter_context(transaction.atomic(using=using))
            signal.send_robust(_sender(result), task_result=result)  # which logs what receivers raise
    except BaseException as error:
        name = result.task.module_path
        warn("%s %s: a receiver of a signal of its task failed: %r", name, result.id, error, error=error)


def announce_end(name: str, function_id: int, using: str, **kwargs: object) -> None:
    """Send Django's ``task_finished`` if it was a task that has ended, and its code is still there."""
    if ":" in name:
        return
    row = ScheduledFunction.objects.using(using).filter(pk=function_id).first()
    task = find_task(name)
    if row and task:
        announce(task_finished, result_of(row, task), using)


def _sender(result: TaskResult[..., Any]) -> type:
    try:
        return type(task_backends[result.backend])
    except Exception:  # the alias has gone from the settings since
        return tasks.SchedulerBackend


def _result(row: ScheduledFunction, task: AnyTask, **values: Any) -> TaskResult[..., Any]:
    arguments: Any = row.decoded_args()
    return TaskResult(
        task=with_values(
            task,
            priority=row.priority,
            queue_name=row.queue,
            backend=arguments["backend"],
            run_after=arguments.get("run_after"),
        ),
        id=str(row.pk),
        enqueued_at=row.creation_time,
        last_attempted_at=values["started_at"],
        args=arguments["args"],
        kwargs=arguments["kwargs"],
        backend=arguments["backend"],
        **values,
    )


def _worker_ids(row: ScheduledFunction, attempts: int, last: str) -> list[str]:
    """Return the executors of so many attempts, the last of which had this one."""
    known = [attempt["executor"] for attempt in row.history or []][:attempts]
    if len(known) < attempts:
        known.append(last)
    return [*known[:1] * (attempts - len(known)), *known]


def _errors(row: ScheduledFunction) -> list[TaskError]:
    """Return an error for each attempt that was repeated, and for the last one if it has not succeeded."""
    found = [_task_error(attempt["error"]) for attempt in row.history or []]
    if row.state == State.CANCELED:
        found.append(TaskError(exception_class_path=_path(errors.Canceled), traceback="Canceled\n"))
    elif row.state == State.PENDING and found:
        found[-1] = _task_error(row.error, row.traceback)
    elif row.error:
        found.append(_task_error(row.error, row.traceback))
    return found


def _task_error(error: str, traceback: str = "") -> TaskError:
    return TaskError(exception_class_path=_class_path(error, traceback), traceback=traceback or f"{error}\n")


def _class_path(error: str, traceback: str) -> str:
    """Return the dotted path of the class of an error on record, which is there by its name alone.

    A traceback ends with the same text and has the module in front, unless the class is one of Python's own. (Nothing
    is imported to look: what a row says may come from anywhere.)
    """
    name = error.partition(":")[0]
    before, found, _ = traceback.rpartition(error)
    module = re.search(r"(?:\w+\.)*$", before)
    if found and module and module[0]:
        return f"{module[0]}{name}"
    homes = [home for home in (errors, builtins) if hasattr(home, name)]
    return f"{homes[0].__name__}.{name}" if homes else _path(errors.SchedulerError)


def _path(error: type[BaseException]) -> str:
    return f"{error.__module__}.{error.__qualname__}"
