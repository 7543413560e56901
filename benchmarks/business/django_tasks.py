"""The functions as tasks of Django, for the contenders that are a backend of Django's tasks.

Not in a module ``tasks``: procrastinate would import that, and Django has tasks since 6.0.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

try:
    from django.tasks import task
except ImportError:  # Django 5.2
    from django_tasks import task  # type: ignore[no-redef]

from benchmarks.business import bodies
from benchmarks.contender import DjangoContender


@task
def noop(job: int) -> None:
    bodies.noop(job)


@task
def insert(job: int) -> None:
    bodies.insert(job)


@task
def insert_sql(job: int) -> None:
    bodies.insert_sql(job)


@task
def insert_twice(job: int) -> None:
    bodies.insert_twice(job)


TASKS = {"noop": noop, "insert": insert, "insert_sql": insert_sql, "insert_twice": insert_twice}


class TasksContender(DjangoContender):
    def enqueue(self, body: str, job: int) -> None:
        TASKS[body].enqueue(job)

    def schedule_in_queues(self, body: str, jobs: Sequence[int], queues: int) -> None:
        with transaction.atomic():
            for job in jobs:
                TASKS[body].using(queue_name=f"queue_{job % queues}").enqueue(job)

    def schedule_at(self, body: str, job: int, when: datetime) -> None:
        TASKS[body].using(run_after=when).enqueue(job)
