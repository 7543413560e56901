"""dj-queue: a backend of Django's tasks, after Solid Queue."""

# /// script
# dependencies = ["dj-queue[postgres]", "Django", "psycopg[binary]"]
# requires-python = ">=3.12"
# [tool.benchmark]
# databases = ["postgresql", "sqlite"]
# claim = 3
# worker = "python -m django dj_queue"
# apps = ["dj_queue"]
# remark = "Defaults: three threads a process, LISTEN/NOTIFY; dispatcher and scheduler are processes besides."
# [tool.benchmark.future]
# table = "dj_queue_scheduled_executions"
# due = "scheduled_at"
# [tool.benchmark.settings]
# DATABASE_ROUTERS = ["dj_queue.routers.DjQueueRouter"]
# [tool.benchmark.settings.TASKS.default]
# BACKEND = "dj_queue.backend.DjQueueBackend"
# QUEUES = []
# OPTIONS = { workers = [{ processes = "$PROCESSES" }] }
# ///

from collections.abc import Sequence
from typing import Any

from dj_queue.models import Job
from django.tasks import task_backends

from benchmarks.business.django_tasks import TASKS, TasksContender


class DjQueue(TasksContender):
    def schedule_many(self, body: str, jobs: Sequence[int]) -> None:
        backend: Any = task_backends["default"]
        backend.enqueue_all([(TASKS[body], [job], {}) for job in jobs])

    def cancel_all(self) -> None:
        Job.objects.filter(finished_at=None).delete()

    def unfinished(self) -> int:
        return Job.objects.filter(finished_at=None).count()


contender = DjQueue
