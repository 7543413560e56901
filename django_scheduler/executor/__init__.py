"""The executor: a process whose threads, the workers, execute functions when they are due.

* ``executor.py`` starts and ends the threads; ``run.py`` is what a process does that runs an executor.
* ``poller.py`` waits until something is due, ``worker.py`` claims it and executes it, ``session.py`` is the
  connection of such a thread.
* ``execution.py`` is what all executions have in common; ``mutation.py``, ``grouping.py`` and ``action.py`` are the
  kinds. ``budget.py`` limits the time of a body; ``running_bodies.py`` notes which bodies run,
  ``forks.py`` keeps the processes that they fork out of it.
* ``threads.py`` is what runs beside the workers: ``heartbeat.py``, ``recovery.py`` of lost actions, ``crons.py``.
* ``by_id.py`` executes one function in a process of another system.
"""

from django_scheduler.executor.action import ActionExecution
from django_scheduler.executor.budget import Budget
from django_scheduler.executor.by_id import LONGEST_HAND_OVER, execute
from django_scheduler.executor.execution import MissingExecution, SingleExecution
from django_scheduler.executor.executor import Executor
from django_scheduler.executor.mutation import MutationExecution
from django_scheduler.executor.poller import Until
from django_scheduler.executor.recovery import recover_lost_actions
from django_scheduler.executor.run import (
    CUT_OFF,
    OrStuck,
    end_process_within,
    run_or_end_process,
    run_until_ended,
    start_executor,
)
from django_scheduler.executor.running_bodies import RunningBodies
from django_scheduler.executor.threads import log_briefly, run_in_background, start_in_background
from django_scheduler.executor.worker import execute_with

__all__ = [
    "CUT_OFF",
    "LONGEST_HAND_OVER",
    "ActionExecution",
    "Budget",
    "Executor",
    "MissingExecution",
    "MutationExecution",
    "OrStuck",
    "RunningBodies",
    "SingleExecution",
    "Until",
    "end_process_within",
    "execute",
    "execute_with",
    "log_briefly",
    "recover_lost_actions",
    "run_in_background",
    "run_or_end_process",
    "run_until_ended",
    "start_executor",
    "start_in_background",
]
