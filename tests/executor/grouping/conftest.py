from collections.abc import Callable, Iterator

import pytest

from django_scheduler.models import ScheduledFunctionId
from tests.executor.grouping import functions
from tests.support.in_process import execute_with_one_worker


@pytest.fixture(autouse=True)
def _no_interludes() -> Iterator[None]:
    yield
    functions.interludes.clear()


@pytest.fixture
def execute_as_group(transactional_db, groups, growing_groups) -> Callable[[list[ScheduledFunctionId]], None]:
    """Execute these functions, which are the next that are due, and check that a worker has grouped them."""

    def execute(ids: list[ScheduledFunctionId]) -> None:
        execute_with_one_worker()
        assert ids in groups

    return execute
