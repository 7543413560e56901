"""Announcing: a function has succeeded or failed, and that is on record; the log says so, and a signal is sent.

It is done once, by whoever has recorded it. Nothing that a handler or a receiver raises changes the outcome.
"""

import logging
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import transaction

from django_scheduler import signals
from django_scheduler.models import Failure, Kind, State
from django_scheduler.telemetry import log_of_executors as log


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a function has ended."""

    function_id: int
    name: str
    #: ``None``: there is no such function.
    kind: Kind | None
    attempt: int
    executor: str
    using: str
    state: State
    failure: Failure | None = None
    #: How long it had been due when its body began, and how long the attempt took, in seconds. ``None``: nobody knows,
    #: because its executor is gone.
    lag: float | None = None
    duration: float | None = None


def announce(end: End, *, error: BaseException | None = None) -> None:
    """Log how a function has ended, and send ``function_finished``."""
    failure = end.failure.value if end.failure else ""
    log(
        logging.ERROR if end.state is State.FAILED else logging.INFO,
        "%s %s: %s%s, took %.3f s, began %.3f s after it was due",
        end.name,
        end.function_id,
        end.state.value,
        f" ({failure})" if failure else "",
        end.duration,
        end.lag,
        error=error,
        function=end.name,
        function_id=end.function_id,
        attempt=end.attempt,
        executor=end.executor,
        lag=end.lag,
        duration=end.duration,
        state=end.state.value,
        failure=failure,
    )
    _send(end)


def announce_failure_of_another(end: End, *, reason: str) -> None:
    """Log why a function has failed whose executor is gone, and send ``function_finished`` after the commit."""
    assert end.failure is not None
    log(
        logging.ERROR,
        "%s %s: failed (%s), because %s",
        end.name,
        end.function_id,
        end.failure.value,
        reason,
        function=end.name,
        function_id=end.function_id,
        executor=end.executor,
        state=end.state.value,
        failure=end.failure.value,
    )
    transaction.on_commit(partial(_send, end), using=end.using, robust=True)


def _send(end: End) -> None:
    if signals.function_finished.receivers:
        signals.send(signals.function_finished, **_as_told(end))


def _as_told(end: End) -> dict[str, Any]:
    return {
        "function_id": end.function_id,
        "name": end.name,
        "kind": end.kind.value if end.kind else "",
        "attempt": end.attempt,
        "lag": end.lag,
        "executor": end.executor,
        "using": end.using,
        "state": end.state.value,
        "failure": end.failure.value if end.failure else "",
        "duration": end.duration,
    }
