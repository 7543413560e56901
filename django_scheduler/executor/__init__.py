"""The executor: it executes what is due.

``executor.py`` is the whole: threads, and how they start and end. ``run.py`` is its life in a process of its own. Its
rooms:

* ``lookout.py`` sleeps until something is due, ``paused_queues.py`` tells what it passes over; ``worker.py`` is a
  thread that claims and executes it, when it has the ``turn.py``; ``session.py`` is that thread's connection.
* ``execution.py`` says what every kind of execution does, ``choice.py`` which one a function gets. The kinds:
  ``mutation.py``; ``group.py``, several mutations in one transaction (``group_size.py`` says how many,
  ``lone_names.py`` which not); ``action.py`` (``event_loop.py`` runs async ones); ``missing.py``; ``hand_over.py``.
  ``backoff.py`` says when to retry.
* While a body runs, which ``function_execution.py`` calls: ``budget.py`` is its time and ``watchdog.py`` looks at it,
  ``mutation_budget.py`` stops a mutation, ``canceled.py`` is ``ctx.canceled``, ``flight_recorder.py`` tells the
  supervisor which body it was.
* Beside the work, ``side_task.py`` repeats: ``registration.py`` (the executor's own row and its heartbeat),
  ``recovery.py`` (actions whose executor is gone, which ``process.py`` can tell; ``tell_failed.py`` announces their
  end), ``retention.py`` (finished rows that may go), ``crons.py``. ``errand.py`` does something once, in a thread that
  nobody has to wait for.
* In a worker of somebody else's, ``by_id.py`` executes one function, and ``membership.py`` is its row.
"""

from django_scheduler.executor.action import ActionExecution
from django_scheduler.executor.budget import Budget
from django_scheduler.executor.by_id import LONGEST_WAIT, execute
from django_scheduler.executor.execution import MissingExecution, SingleExecution
from django_scheduler.executor.executor import Executor
from django_scheduler.executor.flight_recorder import NOTHING, FlightRecorder
from django_scheduler.executor.mutation import MutationExecution
from django_scheduler.executor.poller import Until
from django_scheduler.executor.recovery import recover_lost_actions
from django_scheduler.executor.threads import run_errand, start_errand
from django_scheduler.executor.worker import execute_with

__all__ = [
    "LONGEST_WAIT",
    "NOTHING",
    "ActionExecution",
    "Budget",
    "Executor",
    "FlightRecorder",
    "MissingExecution",
    "MutationExecution",
    "SingleExecution",
    "Until",
    "execute",
    "execute_with",
    "recover_lost_actions",
    "run_errand",
    "start_errand",
]
