import pytest

from django_scheduler.executor import budget


@pytest.fixture
def short_grace(monkeypatch):
    """A body that does not react when its time is up is given up soon."""
    monkeypatch.setattr(budget, "GRACE", 0.2)
    monkeypatch.setattr(budget, "REPEAT", 0.1)
