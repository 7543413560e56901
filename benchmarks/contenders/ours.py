"""This checkout."""

# /// script
# dependencies = ["django_scheduler", "Django", "psycopg[binary]"]
# [tool.benchmark]
# databases = ["postgresql", "sqlite"]
# worker = "python -m django runscheduler --processes $PROCESSES"
# apps = ["django_scheduler", "benchmarks.contenders"]
# remark = "Mutations, executed with the command's defaults."
# [tool.benchmark.future]
# table = "django_scheduler_scheduledfunction"
# due = "due_time"
# ///

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from benchmarks.business import bodies
from benchmarks.contender import DjangoContender
from django_scheduler import ctx, internal_mutation
from django_scheduler.models import UNFINISHED, ScheduledFunction


@internal_mutation
def noop(ctx: Any, *, job: int) -> None:
    bodies.noop(job)


@internal_mutation
def insert(ctx: Any, *, job: int) -> None:
    bodies.insert(job)


@internal_mutation
def insert_twice(ctx: Any, *, job: int) -> None:
    bodies.insert_twice(job)


MUTATIONS = {"noop": noop, "insert": insert, "insert_twice": insert_twice}


class Ours(DjangoContender):
    def enqueue(self, body: str, job: int) -> None:
        ctx.scheduler.run_after(0, MUTATIONS[body], job=job)

    def schedule_many(self, body: str, jobs: Sequence[int]) -> None:
        ctx.scheduler.run_after_many(0, MUTATIONS[body], [{"job": job} for job in jobs])

    def schedule_at(self, body: str, job: int, when: datetime) -> None:
        ctx.scheduler.run_at(when, MUTATIONS[body], job=job)

    def unfinished(self) -> int:
        return ScheduledFunction.objects.filter(state__in=UNFINISHED).count()


contender = Ours
