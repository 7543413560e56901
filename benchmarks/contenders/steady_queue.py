"""steady-queue: a backend of Django's tasks, a port of Solid Queue."""

# /// script
# dependencies = ["steady-queue", "Django", "psycopg[binary]"]
# requires-python = ">=3.12"
# [tool.benchmark]
# databases = ["postgresql", "sqlite"]
# claim = 3
# worker = "python -m django steady_queue"
# apps = ["django.contrib.contenttypes", "steady_queue"]
# remark = "Defaults: three threads a process, polled each 0.1 s; dispatcher and scheduler are processes besides."
# [tool.benchmark.future]
# table = "steady_queue_scheduledexecution"
# due = "scheduled_at"
# [tool.benchmark.settings]
# STEADY_QUEUE = { workers = [{ processes = "$PROCESSES" }] }
# [tool.benchmark.settings.TASKS.default]
# BACKEND = "steady_queue.backend.SteadyQueueBackend"
# QUEUES = []
# ///

from django.conf import settings
from steady_queue.configuration import Configuration
from steady_queue.models import Job

from benchmarks.business.django_tasks import TasksContender

SETTING = "STEADY_QUEUE"

# Its setting is an object, and not of plain values, as in a header.
workers = [Configuration.Worker(**worker) for worker in getattr(settings, SETTING)["workers"]]
setattr(settings, SETTING, Configuration.Options(workers=workers))


class SteadyQueue(TasksContender):
    def cancel_all(self) -> None:
        Job.objects.filter(finished_at=None).delete()

    def unfinished(self) -> int:
        return Job.objects.filter(finished_at=None).count()


contender = SteadyQueue
