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
def insert_twice(job: int) -> None:
    bodies.insert_twice(job)


TASKS = {"noop": noop, "insert": insert, "insert_twice": insert_twice}


class TasksContender(DjangoContender):
    def enqueue(self, body: str, job: int) -> None:
        TASKS[body].enqueue(job)

    def schedule_at(self, body: str, job: int, when: datetime) -> None:
        TASKS[body].using(run_after=when).enqueue(job)
