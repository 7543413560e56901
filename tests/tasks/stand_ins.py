"""This backend in the place of the two that Django's own tests were written for."""

from typing import Any

from django_scheduler.executor.by_id import execute
from django_scheduler.models import ScheduledFunction
from django_scheduler.tasks import SchedulerBackend


class LikeDummy(SchedulerBackend):
    """Enqueues, and has what the tests use to look at what was enqueued."""

    @property
    def results(self) -> list[Any]:
        return [self.get_result(pk) for pk in ScheduledFunction.objects.order_by("pk").values_list("pk", flat=True)]

    def clear(self) -> None:
        ScheduledFunction.objects.all().delete()


class LikeImmediate(SchedulerBackend):
    """Executes what it has enqueued, as a worker of a fleet would."""

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        result = super().enqueue(task, args, kwargs)
        execute(int(result.id))
        result.refresh()
        return result
