"""django-tasks-db: a backend of Django's tasks."""

# /// script
# dependencies = ["django-tasks-db", "Django", "psycopg[binary]", "django-tasks>=0.12; python_version < '3.12'"]
# [tool.benchmark]
# databases = ["postgresql", "sqlite"]
# claim = 1
# worker = "python -m django db_worker --no-startup-delay --queue-name '*'"
# apps = ["django_tasks_db"]
# remark = "Defaults; it polls once a second."
# [tool.benchmark.future]
# table = "django_tasks_database_dbtaskresult"
# due = "run_after"
# [tool.benchmark.settings.TASKS.default]
# BACKEND = "django_tasks_db.DatabaseBackend"
# QUEUES = []
# ///

from django_tasks_db.models import DBTaskResult

from benchmarks.business.django_tasks import TasksContender

UNFINISHED = ("READY", "RUNNING")


class DjangoTasksDB(TasksContender):
    def cancel_all(self) -> None:
        DBTaskResult.objects.filter(status__in=UNFINISHED).delete()

    def unfinished(self) -> int:
        return DBTaskResult.objects.filter(status__in=UNFINISHED).count()


contender = DjangoTasksDB
