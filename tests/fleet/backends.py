"""Fleets for tests: one that only remembers what it was sent, and one of real processes.

The queue of the latter is a directory. A message is a file that a worker takes by renaming it, so it is delivered at
most once, and is lost when the worker dies: as bad as a fleet can be.
"""

import json
import uuid
from pathlib import Path
from typing import Any, ClassVar

from django.tasks import TaskResult, TaskResultStatus
from django.tasks.backends.base import BaseTaskBackend
from django.utils import timezone


class Memory(BaseTaskBackend):
    """Remembers its messages, until a test delivers them."""

    supports_priority = True
    messages: ClassVar[list[tuple[int, str]]] = []
    tasks: ClassVar[list[Any]] = []
    broken = False

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        self.validate_task(task)
        if type(self).broken:
            raise ConnectionError("the broker cannot be reached")
        self.messages.append(tuple(args))
        self.tasks.append(task)
        return result_of(self, task, args, kwargs)


class Directory(BaseTaskBackend):
    """Writes its messages into the directory ``OPTIONS["path"]``; ``worker.py`` reads them."""

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        self.validate_task(task)
        path = Path(self.options["path"])
        name = uuid.uuid4().hex
        (path / f"{name}.new").write_text(json.dumps({"task": task.module_path, "args": list(args), "kwargs": kwargs}))
        (path / f"{name}.new").rename(path / f"{name}.message")
        return result_of(self, task, args, kwargs)


def result_of(backend: BaseTaskBackend, task: Any, args: Any, kwargs: Any) -> Any:
    result: TaskResult[..., Any] = TaskResult(
        task=task,
        id=uuid.uuid4().hex,
        status=TaskResultStatus.READY,
        enqueued_at=timezone.now(),
        started_at=None,
        finished_at=None,
        last_attempted_at=None,
        args=list(args),
        kwargs=kwargs,
        backend=backend.alias,
        errors=[],
        worker_ids=[],
    )
    return result
