"""procrastinate, through its Django app."""

# /// script
# dependencies = ["procrastinate[django]", "Django", "psycopg[binary]"]
# [tool.benchmark]
# databases = ["postgresql"]
# claim = 1
# worker = "python -m django procrastinate worker --concurrency 10"
# apps = ["procrastinate.contrib.django"]
# remark = "`--concurrency 10`, which is quicker than its default of 1."
# [tool.benchmark.future]
# table = "procrastinate_jobs"
# due = "scheduled_at"
# ///

from collections.abc import Sequence
from datetime import datetime

from django.db import connection, transaction
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from benchmarks.business import bodies
from benchmarks.contender import DjangoContender

TASKS = {body.__name__: app.task(name=body.__name__)(body) for body in bodies.BODIES}


class Procrastinate(DjangoContender):
    def enqueue(self, body: str, job: int) -> None:
        TASKS[body].defer(job=job)

    def schedule_many(self, body: str, jobs: Sequence[int]) -> None:
        TASKS[body].batch_defer(*({"job": job} for job in jobs))

    def schedule_at(self, body: str, job: int, when: datetime) -> None:
        TASKS[body].configure(schedule_at=when).defer(job=job)

    def schedule_in_queues(self, body: str, jobs: Sequence[int], queues: int) -> None:
        with transaction.atomic():
            for number in range(queues):
                deferrer = TASKS[body].configure(queue=f"queue_{number}")
                deferrer.batch_defer(*({"job": job} for job in jobs[number::queues]))

    def cancel_all(self) -> None:
        with connection.cursor() as cursor:  # its models cannot be written
            cursor.execute("DELETE FROM procrastinate_jobs WHERE status IN ('todo', 'doing')")

    def unfinished(self) -> int:
        return ProcrastinateJob.objects.filter(status__in=["todo", "doing"]).count()


contender = Procrastinate
