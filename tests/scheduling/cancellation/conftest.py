from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from django.db import connection

from django_scheduler.executor.executor import Executor
from django_scheduler.models import ScheduledFunction
from tests.support.sessions import Session


@pytest.fixture
def start_executor(transactional_db, gate) -> Iterator[Callable[..., Executor]]:
    """Starts executors in this process, which stop when the test has ended."""
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
            _end_executing_sessions()
            assert executor.wait(timeout=20), "An executor has not stopped."


def _end_executing_sessions() -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture
def new_session(transactional_db) -> Iterator[Callable[[], Session]]:
    """Opens sessions beside the test's own."""
    with ExitStack() as sessions:

        def new() -> Session:
            session = Session()
            sessions.callback(session.close)
            return session

        yield new


@pytest.fixture
def session(new_session):
    return new_session()


@pytest.fixture
def another_session(new_session):
    return new_session()


@pytest.fixture
def state_of(transactional_db) -> Callable[[int], str]:
    def state_of(function_id: int) -> str:
        return ScheduledFunction.objects.values_list("state", flat=True).get(pk=function_id)

    return state_of


@pytest.fixture
def row(transactional_db) -> Callable[[int], ScheduledFunction]:
    return lambda function_id: ScheduledFunction.objects.get(pk=function_id)


@pytest.fixture
def refer(transactional_db) -> Iterator[Callable[[int], None]]:
    """Inserts a row that refers to a scheduled function, as a table of a project may."""
    # The tables of tests.models are made before those of the scheduler, so this one cannot be among them.
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE tests_reminder (function_id bigint REFERENCES django_scheduler_scheduledfunction)")

    def refer(function_id: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO tests_reminder VALUES (%s)", [function_id])

    yield refer
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE tests_reminder")
