"""This checkout."""

# /// script
# dependencies = ["django-ctx-scheduler", "Django", "psycopg[binary]"]
# [tool.benchmark]
# databases = ["postgresql", "sqlite"]
# worker = "python -m django runscheduler --processes $PROCESSES"
# apps = ["django_scheduler", "benchmarks.contenders"]
# actions = true
# claim = 1
# remark = "Mutations, executed with the command's defaults."
# [tool.benchmark.future]
# table = "django_scheduler_scheduledfunction"
# due = "due_time"
# ///

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from benchmarks.business import bodies
from benchmarks.contender import DjangoContender
from django_scheduler import RateLimit, ctx, internal_action, internal_mutation
from django_scheduler.models import UNFINISHED, ScheduledFunction


@internal_mutation
def noop(ctx: Any, *, job: int) -> None:
    bodies.noop(job)


@internal_mutation
def insert(ctx: Any, *, job: int) -> None:
    bodies.insert(job)


@internal_mutation
def insert_sql(ctx: Any, *, job: int) -> None:
    bodies.insert_sql(job)


@internal_mutation
def insert_twice(ctx: Any, *, job: int) -> None:
    bodies.insert_twice(job)


def noop_in_any_queue(ctx: Any, *, job: int) -> None:
    bodies.noop(job)


@internal_action
def noop_action(ctx: Any, *, job: int) -> None:
    bodies.noop(job)


@internal_action
def insert_action(ctx: Any, *, job: int) -> None:
    bodies.insert(job)


TEN_A_SECOND = RateLimit(10, per=timedelta(seconds=1))


@internal_mutation(rate_limit=TEN_A_SECOND)
def noop_ten_a_second(ctx: Any, *, job: int) -> None:
    bodies.noop(job)


@internal_action(rate_limit=TEN_A_SECOND)
def noop_action_ten_a_second(ctx: Any, *, job: int) -> None:
    bodies.noop(job)


FUNCTIONS = {
    "noop": noop,
    "insert": insert,
    "insert_sql": insert_sql,
    "insert_twice": insert_twice,
    "noop_action": noop_action,
    "insert_action": insert_action,
    "noop_ten_a_second": noop_ten_a_second,
    "noop_action_ten_a_second": noop_action_ten_a_second,
}

#: A queue belongs to a function, so that each queue has one.
IN_QUEUES = {
    body: [
        declare(name=f"{body}_{number}", queue=f"queue {number}")(noop_in_any_queue)
        for number in range(int(os.environ["BENCH_QUEUES"]))
    ]
    for body, declare in (("noop", internal_mutation), ("noop_action", internal_action))
}


class Ours(DjangoContender):
    def enqueue(self, body: str, job: int) -> None:
        ctx.scheduler.run_after(0, FUNCTIONS[body], job=job)

    def schedule_many(self, body: str, jobs: Sequence[int]) -> None:
        ctx.scheduler.run_after_many(0, FUNCTIONS[body], [{"job": job} for job in jobs])

    def schedule_at(self, body: str, job: int, when: datetime) -> None:
        ctx.scheduler.run_at(when, FUNCTIONS[body], job=job)

    def schedule_in_queues(self, body: str, jobs: Sequence[int], queues: int) -> None:
        with transaction.atomic():
            for number in range(queues):
                ctx.scheduler.run_after_many(0, IN_QUEUES[body][number], [{"job": job} for job in jobs[number::queues]])

    def cancel_all(self) -> None:
        ctx.scheduler.cancel_all(everything=True)

    def unfinished(self) -> int:
        return ScheduledFunction.objects.filter(state__in=UNFINISHED).count()


contender = Ours
