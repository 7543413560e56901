import django
import pytest

from django_scheduler.executor import by_id
from tests.support.executor_processes import no_executor_left_on_record

if django.VERSION < (6, 0):
    collect_ignore = ["test_hand_over.py", "test_killed_workers.py"]


@pytest.fixture(autouse=True)
def _leaves_nothing(transactional_db):
    with no_executor_left_on_record():
        yield
        by_id.leave()
