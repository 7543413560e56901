"""The executor: a process whose threads, the workers, execute functions when they are due.

* ``executor.py`` starts and ends the threads; ``run.py`` is what a process does that runs an executor.
* ``poller.py`` waits until something is due, ``worker.py`` claims it and executes it. ``claim_lock.py`` lets one worker
  at a time wait and claim, and ``session.py`` is the connection of such a thread.
* ``execution.py`` is what all executions have in common; ``mutation.py``, ``grouping.py`` and ``action.py`` are the
  kinds.
* ``body.py`` calls a body, and keeps what it leaves in Python from the next one; ``running_bodies.py`` notes which ones
  run. ``budget.py`` limits the time of a body, and ``answer_timeout.py`` that of an answer of the database.
* ``repetition.py`` says whether another attempt follows one that has ended without success, and when.
* ``limits.py`` and ``rates.py`` say what may begin under the limits of functions. ``rate_slots.py`` are the slots of
  rate limits that were taken, ``second_session.py`` commits that, ``waiting.py`` has functions wait, and
  ``limit_watch.py`` lets in what waits.
* ``unexecutable.py`` is what becomes of functions that this code cannot execute.
* ``claims.py`` says in which lanes a worker claims at once. ``claim_policy.py`` says how many functions it claims,
  which it passes over, and which it claims first. ``turns.py`` says which tenant's turn it is.
* ``event_loop.py`` runs the bodies of async actions. ``forks.py`` keeps processes that bodies fork out of the executor.
* ``threads.py`` is what runs beside the workers: ``heartbeat.py``, ``recovery.py`` of lost actions, ``crons.py``.
* ``by_id.py`` executes one function in a process of another system.
"""

from django_scheduler.executor.action import ActionExecution
from django_scheduler.executor.budget import Budget
from django_scheduler.executor.by_id import execute
from django_scheduler.executor.execution import SingleExecution, has_expired
from django_scheduler.executor.executor import Executor
from django_scheduler.executor.forks import watch_forks
from django_scheduler.executor.mutation import MutationExecution
from django_scheduler.executor.poller import Until
from django_scheduler.executor.recovery import recover_from_ended_processes
from django_scheduler.executor.run import (
    CUT_OFF,
    IDLE_GRACE,
    StopWhenStuck,
    end_process_within,
    run_or_end_process,
    run_until_ended,
    start_executor,
    stop_within,
)
from django_scheduler.executor.running_bodies import RunningBodies
from django_scheduler.executor.session import session_of_side_task
from django_scheduler.executor.threads import log_briefly, run_in_background, start_in_background
from django_scheduler.executor.unexecutable import ExpiredExecution, MissingExecution
from django_scheduler.executor.worker import execute_with

__all__ = [
    "CUT_OFF",
    "IDLE_GRACE",
    "ActionExecution",
    "Budget",
    "Executor",
    "ExpiredExecution",
    "MissingExecution",
    "MutationExecution",
    "RunningBodies",
    "SingleExecution",
    "StopWhenStuck",
    "Until",
    "end_process_within",
    "execute",
    "execute_with",
    "has_expired",
    "log_briefly",
    "recover_from_ended_processes",
    "run_in_background",
    "run_or_end_process",
    "run_until_ended",
    "session_of_side_task",
    "start_executor",
    "start_in_background",
    "stop_within",
    "watch_forks",
]
