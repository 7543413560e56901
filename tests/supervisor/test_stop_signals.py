"""Signals that ask to stop are counted, also when they come at the same time."""

import signal
from typing import Any

from django_scheduler.supervisor import stop_signals
from django_scheduler.supervisor.stop_signals import REQUESTS, StopSignals


class Interrupted(dict[signal.Signals, int]):
    """While it is looked up how much the first signal insists, the second one arrives."""

    def __getitem__(self, number: Any) -> int:
        if number == signal.SIGTERM:
            signal.raise_signal(signal.SIGINT)
        return super().__getitem__(number)


def test_a_signal_that_arrives_while_another_one_is_counted_is_counted_too(monkeypatch):
    monkeypatch.setattr(stop_signals, "REQUESTS", Interrupted(REQUESTS))
    with StopSignals() as signals:
        signal.raise_signal(signal.SIGTERM)
        assert signals.count == 2
