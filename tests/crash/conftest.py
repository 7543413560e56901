import pytest

from tests.crash.ledger import Ledger


@pytest.fixture
def ledger(transactional_db):
    return Ledger()
