"""The executor's own row and its heartbeat: others see by them that it is alive.

The row also says which process it is. So when that has ended, an executor in the same process space sees that at its
next look (every ``HEARTBEAT_INTERVAL``), and need not wait until the heartbeat has been silent for
``HEARTBEAT_TIMEOUT``; and a process that can be seen alive is not taken for gone, however silent it is: see
``recovery.py``.
"""

import logging
import os
import platform
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import django
from django.db.models import QuerySet

from django_scheduler import __version__
from django_scheduler.conf import get_settings
from django_scheduler.databases import Database
from django_scheduler.executor.answer_timeout import ANSWER_TIMEOUT
from django_scheduler.executor.threads import log_briefly, run_in_background
from django_scheduler.models import Executor
from django_scheduler.telemetry import log_of_executors as log

#: A heartbeat waits for an answer of the database until the next one is due, but for so long at least, in seconds.
SHORTEST_ANSWER_TIMEOUT = 1.0

#: How long the end of an executor waits for its side tasks, and for the database, in seconds.
END_TIMEOUT = 2.0


@dataclass(eq=False)
class Registration:
    """Writes and deletes the row of one executor.

    ``running`` returns what is being executed now, which each heartbeat records.
    """

    database: Database
    queues: list[str]
    concurrency: int
    running: Callable[[], list[dict[str, Any]]]

    def __post_init__(self) -> None:
        #: Used by no other executor before or after: what bears it was done by this one.
        self.name = f"{host()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"

    def register(self) -> None:
        """Insert the row."""
        now = self.database.now()
        Executor.objects.using(self.database.using).create(
            name=self.name,
            host=host(),
            process_space=process_space(),
            process_id=os.getpid(),
            process_start=process_start(os.getpid()),
            started_time=now,
            heartbeat_time=now,
            queues=self.queues,
            concurrency=self.concurrency,
            version=__version__,
            django_version=django.get_version(),
            python_version=platform.python_version(),
            running=self.running(),
        )

    def beat(self) -> bool:
        """Record that the executor is alive, and what it executes; return whether it was still on record."""
        if self._rows().update(heartbeat_time=self.database.now(), running=self.running()):
            return True
        log(
            logging.WARNING,
            "The executor %s was taken for gone, because its heartbeat could not be recorded for too long. Actions"
            " that it was executing then are recorded as lost; it goes on.",
            self.name,
            executor=self.name,
        )
        self.register()
        return False

    @property
    def answer_timeout(self) -> float:
        """Return how long a heartbeat waits for an answer, in seconds: the next one has to come in time."""
        return min(max(get_settings().HEARTBEAT_INTERVAL.total_seconds(), SHORTEST_ANSWER_TIMEOUT), ANSWER_TIMEOUT)

    def make_last_record(self, record: Callable[[], None], what: str) -> None:
        """Record what is left, if the database answers in time. Otherwise log that ``what`` could not be done."""
        try:
            run_in_background(record, timeout=END_TIMEOUT)
        except Exception as error:
            message = "Executor %s could not %s, which the next executor will do: %r"
            log_briefly(logging.WARNING, message, self.name, what, error, executor=self.name)

    def unregister(self) -> None:
        """Delete the row."""
        self._rows().delete()

    def _rows(self) -> QuerySet[Executor]:
        return Executor.objects.using(self.database.using).filter(pk=self.name)


@cache
def host() -> str:
    """Return the host's name."""
    return socket.gethostname()


@cache
def process_space() -> str:
    """Return what two processes share if they see each other's process ids: one kernel, and one namespace of ids.

    The host's name is not enough: two containers may have the same one, and each its own process 7.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"{host()} {uuid.getnode():x}"


def process_start(process_id: int) -> str:
    """Return when a process was started, in the kernel's ticks; empty where that cannot be known."""
    status = _status(process_id)
    return status[19] if status else ""


def is_alive(process_id: int, start: str) -> bool:
    """Return whether the process with that id and that start still runs; true where that cannot be known."""
    if platform.system() == "Windows":
        return True  # there os.kill would end it
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    status = _status(process_id)
    if status is None:
        return True
    is_zombie = status[0] in "ZX"
    return not is_zombie and (not start or status[19] == start)


def _status(process_id: int) -> list[str] | None:
    """Return the fields of ``/proc/<id>/stat`` from the process's state on."""
    try:
        text = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()
