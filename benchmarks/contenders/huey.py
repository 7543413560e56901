"""huey: PostgresHuey, or SqliteHuey."""

# /// script
# dependencies = ["huey", "Django", "psycopg[binary]"]
# [tool.benchmark]
# databases = ["postgresql", "sqlite"]
# claim = 1
# worker = "huey_consumer benchmarks.contenders.huey.huey --workers 1"
# remark = "One thread, quicker than eight. With a connection of its own it schedules after the transaction, not in it."
# [tool.benchmark.future]
# table = "huey_schedule"
# due = "timestamp"
# ///

import os
from collections.abc import Sequence
from datetime import datetime

import django
from django.apps import apps
from django.db import transaction
from huey import PostgresHuey, SqliteHuey

from benchmarks.contender import DjangoContender

if not apps.models_ready:  # the consumer begins here
    django.setup()

from benchmarks.business import bodies

if os.environ["BENCH_DATABASE"] == "postgresql":
    huey = PostgresHuey("benchmark")
else:
    huey = SqliteHuey("benchmark", filename=os.environ["BENCH_SQLITE"] + ".huey")

TASKS = {body.__name__: huey.task(name=body.__name__)(body) for body in bodies.BODIES}


class ThisHuey(DjangoContender):
    def enqueue(self, body: str, job: int) -> None:
        transaction.on_commit(lambda: TASKS[body](job))

    def schedule_many(self, body: str, jobs: Sequence[int]) -> None:
        for job in jobs:
            TASKS[body](job)

    def schedule_at(self, body: str, job: int, when: datetime) -> None:
        TASKS[body].schedule((job,), eta=when)

    def unfinished(self) -> int:
        return huey.pending_count() + huey.scheduled_count()


contender = ThisHuey
