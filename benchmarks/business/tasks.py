"""The functions as tasks of Django, for the contenders that are a backend of Django's tasks."""

from datetime import datetime

from django.tasks import task

from benchmarks.business import bodies
from benchmarks.contender import DjangoContender


@task
def noop(job: int) -> None:
    bodies.noop(job)


@task
def insert(job: int) -> None:
    bodies.insert(job)


@task
def insert_and_wait(job: int) -> None:
    bodies.insert_and_wait(job)


TASKS = {"noop": noop, "insert": insert, "insert_and_wait": insert_and_wait}


class TasksContender(DjangoContender):
    def enqueue(self, body: str, job: int) -> None:
        TASKS[body].enqueue(job)

    def schedule_at(self, body: str, job: int, when: datetime) -> None:
        TASKS[body].using(run_after=when).enqueue(job)
