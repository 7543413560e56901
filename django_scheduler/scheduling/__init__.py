"""Scheduling: what happens in the process that schedules, cancels or calls a function.

* ``scheduler.py`` is ``ctx.scheduler``; ``enqueue.py`` schedules, and ``cancellation.py`` cancels,
  ``choosing.py`` those that meet conditions.
* ``commit_hook.py`` counts what a transaction schedules, and wakes the executors after the commit.
* ``options.py`` has the options of a call; ``keys.py`` keeps calls with a key apart, and ``batches.py`` makes them
  members of a batch.
* ``interventions.py`` changes functions on record: reschedule, run now, run again. ``interventions_by_id.py`` has
  the methods of ``ctx.scheduler`` for it.
* ``refusals.py`` answers what Django or the database refuses with what to do.
* ``calls.py`` runs a function now; ``running.py`` knows which one is running, and which request is being served.
* ``middleware_chain.py`` is what a site adds to the context of what it schedules, and wraps around bodies.
"""

from django_scheduler.scheduling import calls, cancellation, choosing, enqueue, interventions, middleware_chain
from django_scheduler.scheduling.cancellation import InterventionResult
from django_scheduler.scheduling.commit_hook import share_wake_up
from django_scheduler.scheduling.middleware_chain import Call, Middleware, NewContext, Run
from django_scheduler.scheduling.refusals import explains_refusals, names_async_twin
from django_scheduler.scheduling.running import Running, request_context, running
from django_scheduler.scheduling.scheduler import Batch, Scheduler

__all__ = [
    "Batch",
    "Call",
    "InterventionResult",
    "Middleware",
    "NewContext",
    "Run",
    "Running",
    "Scheduler",
    "calls",
    "cancellation",
    "choosing",
    "enqueue",
    "explains_refusals",
    "interventions",
    "middleware_chain",
    "names_async_twin",
    "request_context",
    "running",
    "share_wake_up",
]
