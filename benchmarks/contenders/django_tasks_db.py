"""django-tasks-db: a backend of Django's tasks."""

# /// script
# dependencies = ["django-tasks-db", "Django", "psycopg[binary]"]
# [tool.benchmark]
# databases = ["postgresql", "sqlite"]
# worker = "python -m django db_worker --no-startup-delay"
# apps = ["django_tasks_db"]
# remark = "Defaults; it polls once a second."
# [tool.benchmark.future]
# table = "django_tasks_database_dbtaskresult"
# due = "run_after"
# [tool.benchmark.settings.TASKS.default]
# BACKEND = "django_tasks_db.DatabaseBackend"
# ///

from django.tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from benchmarks.business.tasks import TasksContender

UNFINISHED = (TaskResultStatus.READY, TaskResultStatus.RUNNING)


class DjangoTasksDB(TasksContender):
    def unfinished(self) -> int:
        return DBTaskResult.objects.filter(status__in=UNFINISHED).count()


contender = DjangoTasksDB
