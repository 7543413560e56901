"""Hand due functions over to the workers that a site already has: ``EXECUTOR = "tasks:<alias>"``.

The fleet is any backend of Django's tasks: Celery, RQ, dramatiq, or another machine's workers. Each function is sent
as one small task with its id. That task may be sent twice, late or never, and neither guarantee depends on it:

* The record decides. A fleet worker claims the function by its id, only while it is pending, and executes it as an
  executor does (``executor/by_id.py``). So of two tasks one finds nothing to do. A mutation whose fleet worker dies is
  pending again; an action whose fleet worker dies is recorded as lost, because its process is on record.
* A row that was handed over says so (``handed_over``), and only then may a fleet worker begin it although its
  ``due_time`` is ahead. Whoever moves it since, by a retry or a reschedule, takes that back.
* A function that was handed over is due again after ``HAND_OVER_TIMEOUT``: its ``due_time`` is set to that much later,
  in the transaction that schedules it or that claims it for the hand-over, before its task is sent. If the task gets
  lost, or a process dies, ``runscheduler`` finds the function due once more and hands it over once more. Each wait is
  as long as the function has been waiting, from ``HAND_OVER_TIMEOUT`` up to ``LONGEST_HAND_OVER`` times that, so a
  fleet that is merely slow does not receive ever more tasks.

What is due at once and scheduled one by one is handed over by the process that schedules it, after its transaction has
committed (``Fleet``). Everything else is handed over by ``runscheduler``: it claims what is due as always, and hands it
over instead of executing it (``HandOver``). Without ``runscheduler`` only the former is executed, if its task arrives.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import connections, transaction

from django_scheduler.conf import get_settings
from django_scheduler.databases import NewRows, django_internals
from django_scheduler.executor import SingleExecution
from django_scheduler.models import ScheduledFunction
from django_scheduler.record import transitions
from django_scheduler.telemetry import report

#: A function that was handed over is left to its fleet for so many times ``HAND_OVER_TIMEOUT`` at most.
LONGEST_HAND_OVER = 10


class Fleet:
    """Hands over what is due at once: ``scheduling/enqueue.py`` calls it."""

    def time_to_begin(self) -> timedelta:
        """Return how long a function may take to begin before it is handed over again."""
        return get_settings().HAND_OVER_TIMEOUT

    def hand_over_after_commit(self, using: str, ids: Iterable[int], rows: NewRows) -> None:
        """Hand over what has just been scheduled, once its transaction has committed."""
        connection = connections[using]
        if django_internals.is_in_atomic_block(connection) or connection.get_autocommit():
            for function_id in ids:
                hand = partial(hand_over, using, function_id, name=rows.name, queue=rows.queue, priority=rows.priority)
                transaction.on_commit(hand, using=using, robust=True)


def time_to_begin_again(age: timedelta) -> timedelta:
    """Return how long a function that was due so long ago may take to begin: as long again, within limits."""
    timeout = get_settings().HAND_OVER_TIMEOUT
    return min(max(timeout, age), LONGEST_HAND_OVER * timeout)


def hand_over(using: str, function_id: int, *, name: str, queue: str, priority: int) -> None:
    """Send a function to the fleet. If that fails it is logged, and the function is handed over again later."""
    try:
        _send(using, function_id, queue, priority)
    except Exception as error:
        report(
            "%s %s could not be handed over to %s, which is tried again: %s: %s",
            name,
            function_id,
            get_settings().EXECUTOR,
            type(error).__name__,
            error,
            error=error,
            function=name,
            function_id=function_id,
        )


def _send(using: str, function_id: int, queue: str, priority: int) -> None:
    from django.tasks.base import TASK_MAX_PRIORITY, TASK_MIN_PRIORITY

    from django_scheduler.fleet.worker import task_for

    backend_alias = get_settings().fleet
    assert backend_alias is not None
    task: Any = task_for(backend_alias)
    values: dict[str, Any] = {"queue_name": queue}
    if task.get_backend().supports_priority:
        values["priority"] = min(max(priority, TASK_MIN_PRIORITY), TASK_MAX_PRIORITY)
    task.using(**values).enqueue(function_id, using)


class HandOver(SingleExecution):
    """Hands a claimed function over instead of executing it."""

    def in_transaction(self) -> None:
        rows = ScheduledFunction.objects.using(self.database.using).annotate(now=self.database.now())
        self._queue, self._priority, asked, now = rows.values_list("queue", "priority", "scheduled_time", "now").get(
            pk=self.id
        )
        self._age = now - asked
        self._wait = time_to_begin_again(self._age)
        transitions.HAND_OVER.apply(self.database, self.id, {"due_time": self._wait})

    def after_commit(self) -> None:
        hand_over(self.database.using, self.id, name=self.name, queue=self._queue, priority=self._priority)
        if self._age >= get_settings().HAND_OVER_TIMEOUT and not self.claimed.attempts:
            self.log(
                logging.WARNING,
                "has not begun %.0f s after its time; it is handed over now, and once more in %.0f s. Does runscheduler"
                " run all the time? Do the fleet's workers run, and serve the queue %r?",
                self._age.total_seconds(),
                self._wait.total_seconds(),
                self._queue,
            )

    def after_rollback(self, error: BaseException) -> None:
        raise error
