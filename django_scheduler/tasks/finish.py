"""The end of a task, told by Django's signal ``task_finished`` once it is on record."""

from django.tasks.signals import task_finished

from django_scheduler.models import ScheduledFunction
from django_scheduler.tasks.announce import announce
from django_scheduler.tasks.function import find_task
from django_scheduler.tasks.result import result_of


def announce_finish(name: str, function_id: int, using: str) -> None:
    """Tell the receivers what the row says. There is nothing to tell of a task that has gone from the code."""
    row = ScheduledFunction.objects.using(using).filter(pk=function_id).first()
    task = find_task(name)
    if row and task:
        announce(task_finished, result_of(row, task), using)
