"""Django's signals: a receiver may raise, or break a statement, and changes nothing by it.

A signal may be sent while a transaction is open that is not ours to break: the caller's when a task is enqueued, the
mutation's when it starts. So receivers run within a savepoint there, which takes back what they have broken. Where
only Django's own receiver listens, which logs, the two statements are saved.

The end of a task, told by Django's signal ``task_finished`` once it is on record.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from django.db import connections, transaction
from django.dispatch import Signal
from django.tasks import TaskResult, task_backends
from django.tasks.signals import task_finished

from django_scheduler.databases import connection_state
from django_scheduler.models import ScheduledFunction
from django_scheduler.tasks.function import find_task
from django_scheduler.tasks.result import result_of
from django_scheduler.telemetry import warn


def announce(signal: Signal, result: TaskResult[..., Any], using: str) -> None:
    """Tell the signal's receivers of the task that ``result`` is about."""
    try:
        with ExitStack() as savepoint:
            if connection_state.is_in_atomic_block(connections[using]) and not _only_django_listens(signal):
                savepoint.enter_context(transaction.atomic(using=using))
            signal.send_robust(_sender(result), task_result=result)  # which logs what receivers raise
    except BaseException as error:
        name = result.task.module_path
        warn("%s %s: a receiver of a signal of its task failed: %r", name, result.id, error, error=error)


def _only_django_listens(signal: Signal) -> bool:
    return len(signal.receivers) <= 1


def _sender(result: TaskResult[..., Any]) -> type:
    try:
        return type(task_backends[result.backend])
    except Exception:  # the alias has gone from the settings since
        from django_scheduler.tasks.backend import SchedulerBackend

        return SchedulerBackend


def announce_finish(name: str, function_id: int, using: str) -> None:
    """Tell the receivers what the row says. There is nothing to tell of a task that has gone from the code."""
    row = ScheduledFunction.objects.using(using).filter(pk=function_id).first()
    task = find_task(name)
    if row and task:
        announce(task_finished, result_of(row, task), using)
