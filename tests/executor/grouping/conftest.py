from collections.abc import Callable, Iterator

import pytest

from django_scheduler import ctx
from django_scheduler.executor import grouping
from django_scheduler.executor.grouping import MutationGroup
from django_scheduler.models import ScheduledFunctionId
from tests.executor.grouping import functions
from tests.support.in_process import execute_with_one_worker


@pytest.fixture(autouse=True)
def _no_interludes() -> Iterator[None]:
    yield
    functions.interludes.clear()


@pytest.fixture
def groups(monkeypatch) -> list[list[ScheduledFunctionId]]:
    """The ids of each group that a worker has formed."""
    formed: list[list[ScheduledFunctionId]] = []
    in_transaction = MutationGroup.in_transaction

    def note(formed_group: MutationGroup) -> None:
        formed.append(list(formed_group.ids))
        in_transaction(formed_group)

    monkeypatch.setattr(MutationGroup, "in_transaction", note)
    return formed


@pytest.fixture
def execute_as_group(transactional_db, groups) -> Callable[[list[ScheduledFunctionId]], None]:
    """Execute these functions, which are the next that are due, and check that a worker has grouped them."""

    def execute(ids: list[ScheduledFunctionId]) -> None:
        execute_with_one_worker()
        assert ids in groups

    return execute


@pytest.fixture
def backlog(transactional_db, monkeypatch) -> None:
    """What lets a worker claim eight at a time: it has executed one, two and four, however busy the machine is."""
    monkeypatch.setattr(grouping, "GROUP_SECONDS", 20.0)
    functions.starts.clear()
    functions.hooks.clear()
    for _ in range(7):
        ctx.scheduler.run_after(0, functions.nothing)
