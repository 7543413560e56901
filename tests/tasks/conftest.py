from collections.abc import Callable
from typing import Any

import django
import pytest
from django.dispatch import Signal

if django.VERSION < (6, 0):
    collect_ignore = [
        "test_djangos_own.py",
        "test_enqueue.py",
        "test_execution.py",
        "test_limits.py",
        "test_results.py",
        "test_signals.py",
    ]


@pytest.fixture(autouse=True)
def _database(transactional_db):
    """Let every test use the database, and commit."""


@pytest.fixture
def connect():
    """Yield what connects a receiver to a signal, until the test ends."""
    connected: list[tuple[Signal, Callable[..., Any]]] = []

    def connect(signal, receiver):
        signal.connect(receiver, weak=False)
        connected.append((signal, receiver))

    yield connect
    for signal, receiver in connected:
        signal.disconnect(receiver)
