import pytest

from tests.support.in_process import execute_with_one_worker


@pytest.fixture
def execute_due(transactional_db):
    """Execute everything that is due, and what becomes due by it, one after the other.

    Without what an executor does beside its work, which would take longer than most of these tests.
    """
    return execute_with_one_worker
