import pytest

from tests.crash.ledger import Ledger
from tests.processes.conftest import executors, gate  # noqa: F401  (fixtures)
from tests.supervisor.conftest import supervise  # noqa: F401


@pytest.fixture
def ledger(transactional_db):
    return Ledger()
