"""TODO."""

from django_scheduler.scheduling.calls import run_async_body, run_body
from django_scheduler.scheduling.cancellation import LARGEST_ID
from django_scheduler.scheduling.commit_hook import share_announcement
from django_scheduler.scheduling.enqueue import hand_over_to
from django_scheduler.scheduling.interventions import Outcome
from django_scheduler.scheduling.running import Running, running
from django_scheduler.scheduling.scheduler import Scheduler

__all__ = [
    "LARGEST_ID",
    "Outcome",
    "Running",
    "Scheduler",
    "hand_over_to",
    "run_async_body",
    "run_body",
    "running",
    "share_announcement",
]
