import pytest

from django_scheduler.crons.definitions import Definitions


@pytest.fixture(autouse=True)
def code(monkeypatch) -> None:
    """Let the code define no crons but those of the test: that of the shop would fire on Sundays."""
    monkeypatch.setattr("django_scheduler.crons.definitions.defined_crons", Definitions())
