"""The executor's own row: others see by it that it is alive, and its actions are lost once it is not."""

import logging
import os
import platform
import uuid
from collections.abc import Callable
from typing import Any

import django
from django.db.models import QuerySet

from django_scheduler import __version__
from django_scheduler.databases import Database
from django_scheduler.executor.process import host, process_space, process_start
from django_scheduler.log import log_of_executors as log
from django_scheduler.models import Executor


class Registration:
    """``running``: what is being executed now, as it goes on record with each heartbeat."""

    def __init__(
        self,
        database: Database,
        *,
        queues: list[str],
        concurrency: int,
        running: Callable[[], list[dict[str, Any]]],
    ) -> None:
        self._database = database
        self._queues = queues
        self._concurrency = concurrency
        self._running = running
        #: Never used before: what bears it was done by this process, since it started.
        self.name = f"{host()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"

    def register(self) -> None:
        """Begin to be on record."""
        now = self._database.now()
        Executor.objects.using(self._database.using).create(
            name=self.name,
            host=host(),
            process_space=process_space(),
            process_id=os.getpid(),
            process_start=process_start(os.getpid()),
            started_time=now,
            heartbeat_time=now,
            queues=self._queues,
            concurrency=self._concurrency,
            version=__version__,
            django_version=django.get_version(),
            python_version=platform.python_version(),
            running=self._running(),
        )

    def beat(self) -> None:
        """Say that it is alive, and what it executes."""
        if not self._rows().update(heartbeat_time=self._database.now(), running=self._running()):
            log(
                logging.WARNING,
                "The executor %s was taken for gone, because its heartbeat had not come through for too long. Actions"
                " that it was executing then are recorded as lost; it goes on.",
                self.name,
                executor=self.name,
            )
            self.register()

    def unregister(self) -> None:
        """Be gone, and nothing left behind."""
        self._rows().delete()

    def _rows(self) -> QuerySet[Executor]:
        return Executor.objects.using(self._database.using).filter(pk=self.name)
