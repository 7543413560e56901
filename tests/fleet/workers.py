"""Fleets of processes that execute and are not ours, and ``runscheduler`` as the one that hands over to them."""

import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.forked_processes import ForkedProcess, start

BROKER = os.environ.get("TEST_BROKER_URL", "redis://127.0.0.1:6379/0")


class Fleet:
    """Starts workers, and knows what a test has left running."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], directory: Path) -> None:
        #: What ``TEST_FLEET`` is for a process that belongs to it.
        self.name = name
        self._command = command
        self._environment = {**environment, "TEST_FLEET": name}
        self._directory = directory
        self._workers: list[ForkedProcess] = []

    def start_worker(self) -> ForkedProcess:
        with (self._directory / f"worker-{len(self._workers)}.log").open("wb") as log:
            worker = start(self._command, self._environment, stdout=log, stderr=log)
        self._workers.append(worker)
        return worker

    @property
    def logs(self) -> str:
        return "\n".join(log.read_text() for log in sorted(self._directory.glob("worker-*.log")))

    def end(self) -> None:
        for worker in self._workers:
            worker.send_signal(signal.SIGTERM)
        for worker in self._workers:
            try:
                worker.wait(10)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


@contextmanager
def directory_fleet(environment: dict[str, str], directory: Path) -> Iterator[Fleet]:
    messages = directory / "messages"
    messages.mkdir()
    command = ["-m", "tests.fleet.worker", str(messages)]
    yield Fleet(f"directory:{messages}", command, {**environment, "TEST_DJANGO_SCHEDULER": SETTINGS}, directory)


@contextmanager
def celery_fleet(environment: dict[str, str], directory: Path) -> Iterator[Fleet]:
    if find_spec("django_tasks_fennel") is None or find_spec("redis") is None:
        pytest.skip("Celery, its backend for Django's tasks (django-tasks-fennel) and redis are not installed")
    from redis import Redis
    from redis.exceptions import RedisError

    try:
        redis = Redis.from_url(BROKER)
        redis.ping()
    except RedisError as error:
        pytest.skip(f"no broker answers at {BROKER}: {error}")
    prefix = f"django-scheduler-test-{uuid.uuid4().hex}-"
    command = [
        "-m",
        "celery",
        "-A",
        "django_tasks_fennel.app",
        "worker",
        "--pool=solo",
        "-Q",
        "default",
    ]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "INFO"]
    try:
        yield Fleet(f"celery:{prefix}:{BROKER}", command, {**environment, "TEST_DJANGO_SCHEDULER": SETTINGS}, directory)
    finally:
        if keys := list(redis.scan_iter(f"{prefix}*")):
            redis.delete(*keys)
        redis.close()


#: For the workers and for ``runscheduler``, as JSON, in seconds.
SETTINGS = (
    '{"EXECUTOR": "tasks:fleet", "HAND_OVER_TIMEOUT": 1, "HEARTBEAT_INTERVAL": 0.2, "HEARTBEAT_TIMEOUT": 2,'
    ' "POLL_INTERVAL": 0.1}'
)

FLEETS: dict[str, Callable[[dict[str, str], Path], AbstractContextManager[Fleet]]] = {
    "directory": directory_fleet,
    "celery": celery_fleet,
}
