import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from freezegun import freeze_time

from django_scheduler.crons.definitions import Definitions
from django_scheduler.databases import database_for
from django_scheduler.executor.crons import CronPoller
from tests.support.in_process import execute_with_one_worker

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock(settings, transactional_db):
    """Have Python's clock decide what is due; the test moves it."""
    settings.DJANGO_SCHEDULER = {"CLOCK": "python"}
    with freeze_time(NOON) as frozen:
        yield frozen


@pytest.fixture(autouse=True)
def code(monkeypatch) -> Callable[[], None]:
    """Have the code define no crons but those of the test; called, it begins to define them anew: another version."""

    def another_version() -> None:
        monkeypatch.setattr("django_scheduler.crons.definitions.defined_crons", Definitions())

    another_version()
    return another_version


@pytest.fixture
def fire_due(transactional_db) -> Callable[[], None]:
    """Fire what is due, as an executor does when it begins."""

    def fire() -> None:
        CronPoller(database_for("default"), keeps_firing=False, stopping=threading.Event()).run()

    return fire


@pytest.fixture
def execute_due(transactional_db) -> Callable[[], None]:
    """Execute what has been scheduled, but fire no cron."""
    return execute_with_one_worker
