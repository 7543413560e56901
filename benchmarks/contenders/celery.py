"""celery, with Redis as its broker."""

# /// script
# dependencies = ["celery[redis]", "Django", "psycopg[binary]"]
# [tool.benchmark]
# databases = ["postgresql"]
# redis = true
# worker = "celery --app benchmarks.contenders.celery worker --concurrency $PROCESSES --loglevel INFO"
# remark = "Redis, no results, `CELERY_DB_REUSE_MAX` set. It schedules after the transaction, not in it."
# [tool.benchmark.settings]
# CELERY_BROKER_URL = "redis://127.0.0.1:6379/15"
# CELERY_DB_REUSE_MAX = 1_000_000
# CELERY_TASK_IGNORE_RESULT = true
# CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = true
# ///

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import django
from celery import Celery
from django.apps import apps
from django.db import transaction

from benchmarks.contender import DjangoContender

if not apps.models_ready:  # the worker begins here
    django.setup()

from benchmarks.business import bodies

#: Redis is not made anew for each workload: so the queue is.
PREFIX = "django_scheduler_benchmark"
QUEUE = f"{PREFIX}_{Path(os.environ['BENCH_JOURNAL']).parent.name}"

app = Celery("benchmark")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.task_default_queue = QUEUE

TASKS = {body.__name__: app.task(name=body.__name__)(body) for body in bodies.BODIES}


class ThisCelery(DjangoContender):
    def prepare(self) -> None:
        with app.connection_for_write() as connection:
            redis = connection.default_channel.client
            for key in [*redis.scan_iter(f"{PREFIX}*"), *redis.scan_iter("unacked*")]:
                redis.delete(key)

    def enqueue(self, body: str, job: int) -> None:
        transaction.on_commit(lambda: TASKS[body].delay(job))

    def schedule_many(self, body: str, jobs: Sequence[int]) -> None:
        for job in jobs:
            TASKS[body].delay(job)

    def schedule_at(self, body: str, job: int, when: datetime) -> None:
        TASKS[body].apply_async((job,), eta=when)

    def unfinished(self) -> int:
        with app.connection_for_write() as connection:
            redis = connection.default_channel.client
            return int(redis.llen(QUEUE) + redis.hlen("unacked"))


contender = ThisCelery
