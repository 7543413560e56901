import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db.backends.signals import connection_created

from django_scheduler import ctx
from django_scheduler.executor import claim_policy, grouping
from django_scheduler.executor.grouping import MutationGroup
from django_scheduler.models import ScheduledFunctionId
from tests.executor.grouping import functions
from tests.support.in_process import execute_with_one_worker


@pytest.fixture
def execute_due(transactional_db):
    """Execute everything that is due, and what becomes due by it, one after the other.

    Without what an executor does beside its work, which would take longer than most of these tests.
    """
    return execute_with_one_worker


@pytest.fixture
def groups(monkeypatch) -> list[list[ScheduledFunctionId]]:
    """Return the ids of each group that a worker has formed."""
    formed: list[list[ScheduledFunctionId]] = []
    in_transaction = MutationGroup.in_transaction

    def note(formed_group: MutationGroup) -> None:
        formed.append(list(formed_group.ids))
        in_transaction(formed_group)

    monkeypatch.setattr(MutationGroup, "in_transaction", note)
    return formed


@pytest.fixture
def growing_groups(monkeypatch) -> None:
    """Have the executors of this process form groups of one, two, four and so on, however busy the machine is."""
    monkeypatch.setattr(grouping, "GROUP_SECONDS", 20.0)
    monkeypatch.setattr(claim_policy, "LONG", 20.0)


@pytest.fixture
def backlog(transactional_db, growing_groups) -> None:
    """Schedule what lets a worker claim eight at a time: it has executed one, two and four."""
    functions.starts.clear()
    functions.hooks.clear()
    for _ in range(7):
        ctx.scheduler.run_after(0, functions.nothing)


@pytest.fixture
def tasks() -> Iterator[list[str]]:
    """Yield which of an executor's tasks has executed each statement of this process's other threads."""
    tasks: list[str] = []

    def note(execute: Any, *arguments: Any) -> Any:
        tasks.append(threading.current_thread().name.removeprefix("django_scheduler "))
        return execute(*arguments)

    def receive(connection: Any, **kwargs: object) -> None:
        if threading.current_thread() is not threading.main_thread() and note not in connection.execute_wrappers:
            connection.execute_wrappers.append(note)

    connection_created.connect(receive)
    yield tasks
    connection_created.disconnect(receive)
