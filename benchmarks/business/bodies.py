"""What the functions do, for the contenders that use Django."""

import time

from benchmarks import journal
from benchmarks.business.models import Effect
from benchmarks.business.work import WORK


def noop(job: int) -> None:
    journal.record(job)


def insert(job: int) -> None:
    journal.record(job)
    Effect.objects.create(job=job)


def insert_twice(job: int) -> None:
    """What is to be killed in the middle."""
    insert(job)
    time.sleep(WORK)
    Effect.objects.create(job=job)
