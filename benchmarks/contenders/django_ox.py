"""django-ox: a backend of Django's tasks, with leases."""

# /// script
# dependencies = ["django-ox", "Django", "psycopg[binary]"]
# requires-python = ">=3.12"
# [tool.benchmark]
# databases = ["postgresql", "sqlite"]
# claim = 1
# worker = "python -m django ox_worker --processes $PROCESSES --concurrency 4"
# apps = ["django_ox"]
# remark = "`--concurrency 4`, which is quicker than its default of 1; it polls once a second."
# [tool.benchmark.future]
# table = "django_ox_oxtask"
# due = "run_after"
# [tool.benchmark.settings.TASKS.default]
# BACKEND = "django_ox.backend.OxBackend"
# ///

from collections.abc import Sequence

from django_ox.bulk import enqueue_many
from django_ox.models import OxTask

from benchmarks.business.django_tasks import TASKS, TasksContender
from benchmarks.contender import Contender


class DjangoOx(TasksContender):
    schedule_in_queues = Contender.schedule_in_queues  # its worker takes the queues that a setting names

    def schedule_many(self, body: str, jobs: Sequence[int]) -> None:
        enqueue_many(TASKS[body], [([job], {}) for job in jobs])

    def unfinished(self) -> int:
        return OxTask.objects.filter(status__in=[OxTask.Status.READY, OxTask.Status.RUNNING]).count()


contender = DjangoOx
