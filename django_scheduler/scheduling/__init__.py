"""Scheduling: what happens in the process that schedules, cancels or calls a function.

* ``scheduler.py`` is ``ctx.scheduler``; ``enqueue.py`` schedules, and ``cancellation.py`` cancels.
* ``commit_hook.py`` counts what a transaction schedules, and announces it after the commit; ``wakeup.py`` wakes
  executors.
* ``interventions.py`` is what people do to functions on record: reschedule, run now, run again.
* ``refusals.py`` answers what Django or the database refuses with what to do.
* ``calls.py`` runs a function now; ``running.py`` knows which one is running, and which request is being served.
"""

from django_scheduler.scheduling import calls, cancellation, enqueue, interventions, wakeup
from django_scheduler.scheduling.cancellation import InterventionResult
from django_scheduler.scheduling.commit_hook import share_wake_up
from django_scheduler.scheduling.refusals import explains_refusals, names_async_twin
from django_scheduler.scheduling.running import Running, request_context, running
from django_scheduler.scheduling.scheduler import Scheduler

__all__ = [
    "InterventionResult",
    "Running",
    "Scheduler",
    "calls",
    "cancellation",
    "enqueue",
    "explains_refusals",
    "interventions",
    "names_async_twin",
    "request_context",
    "running",
    "share_wake_up",
    "wakeup",
]
