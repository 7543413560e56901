"""Announcing: once it is on record that a function has succeeded or failed, the log says so, and a signal is sent.

The one that has recorded it announces it, once. Nothing that a handler or a receiver raises changes the outcome.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from django.db import transaction

from django_scheduler import signals
from django_scheduler.models import State
from django_scheduler.telemetry import log_each_of_executors as log_each
from django_scheduler.telemetry import log_of_executors as log
from django_scheduler.telemetry import secrets

#: Says how a function has ended, for ``_line``.
MESSAGE = "%s %s: %s%s, took %.3f s, began %.3f s after it was due"


class End(NamedTuple):
    """Says how a function has ended, by the names of the arguments of ``function_finished``."""

    function_id: int
    name: str
    #: Empty: there is no such function.
    kind: str
    queue: str
    attempt: int
    executor: str
    using: str
    state: str
    #: Empty: it has succeeded.
    failure: str = ""
    #: How long it had been due when its body began, and how long the attempt took, in seconds. ``None``: nobody knows,
    #: because its executor is gone.
    lag: float | None = None
    duration: float | None = None


def announce(
    end: End,
    *,
    error: BaseException | None = None,
    detail: str = "",
    mask: Callable[[str], str] = secrets.mask_text,
) -> None:
    """Log how a function has ended, with a ``detail`` of its failure, and send ``function_finished``.

    ``mask`` hides secrets in the error.
    """
    arguments, keys = _line(end, f" ({', '.join(filter(None, (end.failure, detail)))})" if end.failure else "")
    level = logging.ERROR if end.state == State.FAILED else logging.INFO
    log(level, MESSAGE, *arguments, error=error, mask=mask, **keys)
    _send(end)


def announce_successes(ends: Sequence[End]) -> None:
    """Log that functions have succeeded, and send ``function_finished`` for each of them."""
    log_each(logging.INFO, MESSAGE, map(_line, ends))
    for end in ends:
        _send(end)


def _line(end: End, failure: str = "") -> tuple[tuple[object, ...], dict[str, object]]:
    """Return the arguments of the message, and the keys of the record."""
    arguments = end.name, end.function_id, end.state, failure, end.duration, end.lag
    return arguments, {"attempt": end.attempt, "lag": end.lag, "duration": end.duration, **_keys(end)}


def announce_failure_of_another(end: End, *, reason: str) -> None:
    """Log why a function has failed whose executor is gone, and send ``function_finished``, both after the commit.

    That is once the transaction that is open has committed, and at once outside of one.
    """
    transaction.on_commit(partial(_announce_failure, end, reason), using=end.using, robust=True)


def _announce_failure(end: End, reason: str) -> None:
    message = "%s %s: failed (%s), because %s"
    log(logging.ERROR, message, end.name, end.function_id, end.failure, reason, **_keys(end))
    _send(end)


def _keys(end: End) -> dict[str, Any]:
    """Return the keys that every log record of an end carries."""
    return {
        "function": end.name,
        "function_id": end.function_id,
        "queue": end.queue,
        "executor": end.executor,
        "state": end.state,
        "failure": end.failure,
    }


def _send(end: End) -> None:
    if signals.function_finished.receivers:
        signals.send(signals.function_finished, **end._asdict())
