from collections.abc import Callable, Iterator

import pytest
from django.db import connection

from django_scheduler.executor.executor import Executor
from tests.support.sessions import end_sessions


@pytest.fixture
def start_executor(transactional_db, gate) -> Iterator[Callable[..., Executor]]:
    """Yield what starts executors in this process, which stop when the test has ended."""
    executors: list[Executor] = []

    def start(concurrency: int = 2) -> Executor:
        executor = Executor(concurrency=concurrency)
        executor.start()
        executors.append(executor)
        return executor

    yield start
    gate.open()
    for executor in executors:
        executor.stop()
    for executor in executors:
        if not executor.wait(timeout=5):
            if connection.vendor != "sqlite":
                end_sessions()
            assert executor.wait(timeout=20), "An executor has not stopped."


@pytest.fixture
def refer(transactional_db) -> Iterator[Callable[[int], None]]:
    """Yield what inserts a row that refers to a scheduled function, as a table of a project may."""
    # The tables of tests.models are made before those of the scheduler, so this one cannot be among them.
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE tests_reminder (function_id bigint REFERENCES django_scheduler_scheduledfunction)")

    def refer(function_id: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO tests_reminder VALUES (%s)", [function_id])

    yield refer
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE tests_reminder")
