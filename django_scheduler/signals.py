"""Signals tell what happens to scheduled functions, for counting, tracing and alerting::

    from django.dispatch import receiver
    from django_scheduler.signals import function_finished

    @receiver(function_finished)
    def tell_the_team(name, function_id, failure, **kwargs):
        if failure == "timeout":
            ...

A receiver that raises is logged (by Django, to ``django.dispatch``) and changes nothing. Receivers are called in the
thread that schedules or executes, so a slow one slows that down. The sender is ``ScheduledFunction``. All arguments are
listed in ``docs/monitoring.md``; take ``**kwargs``, because more may be added.

``function_scheduled`` is sent once per function, when its transaction has committed (not if that was begun by hand,
with ``set_autocommit(False)``, outside of ``atomic``). ``function_started`` is sent before each attempt; that of a
mutation is within its transaction, so a receiver cannot use its database then.
``function_finished`` is sent once it is on record that a function has succeeded or failed, or has expired.
``attempt_failed`` is sent once it is on record that an attempt has failed and is repeated.
"""

from collections.abc import Iterable
from typing import Any

from django.dispatch import Signal

from django_scheduler.models import Kind, ScheduledFunction, ScheduledFunctionId
from django_scheduler.telemetry import warn

function_scheduled = Signal()
function_started = Signal()
attempt_failed = Signal()
function_finished = Signal()


def send_scheduled(name: str, kind: Kind, queue: str, ids: Iterable[ScheduledFunctionId], using: str) -> None:
    """Send ``function_scheduled`` for each of these functions, which have just been committed."""
    if function_scheduled.receivers:
        for function_id in ids:
            send(function_scheduled, function_id=function_id, name=name, kind=str(kind), queue=queue, using=using)


def send(signal: Signal, **arguments: Any) -> None:
    """Send a signal to every receiver. What one raises is logged, and changes nothing."""
    if not signal.receivers:
        return
    try:
        signal.send_robust(ScheduledFunction, **arguments)
    except BaseException as error:  # Django logs every Exception; this is for others, such as SystemExit
        warn(
            "%s %s: a receiver of a signal failed: %r", arguments["name"], arguments["function_id"], error, error=error
        )
