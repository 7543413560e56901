"""A floor: the least that a queue on Django's ORM can do, written by hand.

Nothing is looked up, checked, retried, logged or recorded but that a job is done: 100 at a time are locked, executed
and marked in one transaction. No queue can be much faster, and none that keeps its promises is as fast.
"""

# /// script
# dependencies = ["Django", "psycopg[binary]"]
# [tool.benchmark]
# databases = ["postgresql", "sqlite"]
# worker = '''python -c "from benchmarks.contenders.orm_floor import drain; drain()"'''
# floor = true
# remark = "100 functions in a transaction; nothing but the body's insert and one UPDATE for all of them."
# ///

from collections.abc import Sequence

import django
from django.apps import apps

from benchmarks.contender import DjangoContender

if not apps.models_ready:  # a worker begins here
    django.setup()

from django.db import connection, models, transaction

from benchmarks.business import bodies

AT_A_TIME = 100


class Job(models.Model):
    objects: "models.Manager[Job]" = models.Manager()

    id = models.BigAutoField(primary_key=True)
    body = models.CharField(max_length=20)
    number = models.BigIntegerField()
    done = models.BooleanField(default=False)

    class Meta:
        app_label = "business"
        managed = False
        indexes = [models.Index(fields=["id"], condition=models.Q(done=False), name="job_pending")]


class ORMFloor(DjangoContender):
    def prepare(self) -> None:
        with connection.schema_editor() as editor:
            editor.create_model(Job)

    def enqueue(self, body: str, job: int) -> None:
        Job.objects.create(body=body, number=job)

    def schedule_many(self, body: str, jobs: Sequence[int]) -> None:
        Job.objects.bulk_create([Job(body=body, number=job) for job in jobs], batch_size=1_000)

    def unfinished(self) -> int:
        return Job.objects.filter(done=False).count()


contender = ORMFloor


def drain() -> None:
    """Execute what there is, and end."""
    waiting = Job.objects.filter(done=False).order_by("id")
    if connection.features.has_select_for_update_skip_locked:
        waiting = waiting.select_for_update(skip_locked=True)
    while True:
        with transaction.atomic():
            jobs = list(waiting[:AT_A_TIME])
            for job in jobs:
                getattr(bodies, job.body)(job.number)
            Job.objects.filter(id__in=[job.id for job in jobs]).update(done=True)
        if not jobs:
            return
