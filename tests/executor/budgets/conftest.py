import pytest

from django_scheduler.executor import budget
from django_scheduler.executor.budget import Budget
from tests.executor.budgets import clock
from tests.support.gates import Gate


@pytest.fixture
def time_begins_when_told(monkeypatch):
    """Have the time of a body begin when it says so, or comes to a gate."""
    init, arrive = Budget.__init__, Gate.arrive

    def init_and_hold_back(own, *arguments):
        init(own, *arguments)
        clock.hold_back(own)

    def arrive_and_begin(gate):
        number = arrive(gate)
        clock.time_begins()
        return number

    monkeypatch.setattr(Budget, "__init__", init_and_hold_back)
    monkeypatch.setattr(Gate, "arrive", arrive_and_begin)
    yield
    clock.waiting.clear()


@pytest.fixture
def short_grace(monkeypatch, time_begins_when_told):
    """Have a body that does not react when its time is up given up soon."""
    monkeypatch.setattr(budget, "GRACE", 0.2)
    monkeypatch.setattr(budget, "REPEAT", 0.1)
