"""django-q2, with the ORM as its broker."""

# /// script
# dependencies = ["django-q2", "Django", "psycopg[binary]"]
# [tool.benchmark]
# databases = ["postgresql", "sqlite"]
# claim = 1
# worker = "python -m django qcluster"
# apps = ["django_q"]
# remark = "Tuned: `bulk=50, save_limit=-1`. Processes are its `workers`; sentinel, pusher and monitor come besides."
# [tool.benchmark.future]
# table = "django_q_schedule"
# due = "next_run"
# [tool.benchmark.settings.Q_CLUSTER]
# name = "benchmark"
# orm = "default"
# workers = "$PROCESSES"
# bulk = 50
# save_limit = -1
# timeout = 50
# retry = 60
# ///

from datetime import datetime

from django_q.brokers.orm import ORM
from django_q.models import OrmQ, Schedule
from django_q.tasks import async_task, schedule

from benchmarks.contender import DjangoContender


class DjangoQ2(DjangoContender):
    def __init__(self) -> None:
        self._broker = ORM()

    def enqueue(self, body: str, job: int) -> None:
        async_task(f"benchmarks.business.bodies.{body}", job, broker=self._broker)

    def schedule_at(self, body: str, job: int, when: datetime) -> None:
        schedule(f"benchmarks.business.bodies.{body}", job, schedule_type=Schedule.ONCE, next_run=when)

    def unfinished(self) -> int:
        return OrmQ.objects.count()


contender = DjangoQ2
