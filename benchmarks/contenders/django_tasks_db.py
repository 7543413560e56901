"""django-tasks-db: a backend of Django's tasks."""

# /// script
# dependencies = ["django-tasks-db", "Django", "psycopg[binary]"]
# [tool.benchmark]
# databases = ["postgresql", "sqlite"]
# worker = "python -m django db_worker --no-startup-delay"
# apps = ["django_tasks_db"]
# remark = "Defaults; it polls once a second."
# [tool.benchmark.settings.TASKS.default]
# BACKEND = "django_tasks_db.DatabaseBackend"
# ///

from datetime import datetime

from django.tasks import TaskResultStatus, task
from django_tasks_db.models import DBTaskResult

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
UNFINISHED = (TaskResultStatus.READY, TaskResultStatus.RUNNING)


class DjangoTasksDB(DjangoContender):
    def enqueue(self, body: str, job: int) -> None:
        TASKS[body].enqueue(job)

    def schedule_at(self, body: str, job: int, when: datetime) -> None:
        TASKS[body].using(run_after=when).enqueue(job)

    def unfinished(self) -> int:
        return DBTaskResult.objects.filter(status__in=UNFINISHED).count()


contender = DjangoTasksDB()
