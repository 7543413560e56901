"""Announcing: once it is on record how a function has ended by itself, the log says so, and a signal is sent.

So it is for an attempt that has failed and is repeated, by a signal of its own.

The one that has recorded it announces it, once. Nothing that a handler or a receiver raises changes the outcome.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from django.db import transaction

from django_scheduler import signals
from django_scheduler.models import State
from django_scheduler.record.earlier_attempts import LONGEST_ERROR
from django_scheduler.record.error_record import shortened
from django_scheduler.telemetry import log_each_of_executors as log_each
from django_scheduler.telemetry import log_of_executors as log
from django_scheduler.telemetry import secrets

#: Says how a function has ended, for ``_line``.
MESSAGE = "%s %s: %s%s, took %.3f s, began %.3f s after it was due"


class EndOfAttempt(NamedTuple):
    """Says how the last attempt of a function has ended, or one that is repeated, as receivers of signals are told."""

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
    end: EndOfAttempt,
    *,
    error: BaseException | None = None,
    detail: str = "",
    mask: Callable[[str], str] = secrets.mask_text,
) -> None:
    """Log how a function has ended, with a ``detail`` of its failure, and send ``function_finished``.

    ``mask`` hides secrets in the error.
    """
    arguments, keys = _line(end, f" ({', '.join(filter(None, (end.failure, detail)))})" if end.failure else "")
    level = {State.SUCCESS.value: logging.INFO, State.CANCELED.value: logging.WARNING}.get(end.state, logging.ERROR)
    log(level, MESSAGE, *arguments, error=error, mask=mask, **keys)
    _send(end)


def announce_successes(ends: Sequence[EndOfAttempt]) -> None:
    """Log that functions have succeeded, and send ``function_finished`` for each of them."""
    log_each(logging.INFO, MESSAGE, map(_line, ends))
    for end in ends:
        _send(end)


def _line(end: EndOfAttempt, failure: str = "") -> tuple[tuple[object, ...], dict[str, object]]:
    """Return the arguments of the message, and the keys of the record."""
    arguments = end.name, end.function_id, end.state, failure, end.duration, end.lag
    return arguments, {"attempt": end.attempt, "lag": end.lag, "duration": end.duration, **_keys(end)}


def announce_failed_attempt(
    end: EndOfAttempt, *, error: str, failures: int, max_attempts: int, wait: timedelta
) -> None:
    """Log that an attempt has failed and is repeated after the wait, and send ``attempt_failed``.

    ``error``: what it is, with secrets masked. ``failures``: how many attempts have failed, with this one.
    """
    seconds = wait.total_seconds()
    message = "%s %s: attempt %d of %d failed and is repeated in %.3f s: %s"
    arguments = end.name, end.function_id, failures, max_attempts, seconds, error
    keys = {"attempt": end.attempt, "lag": end.lag, "duration": end.duration, **_keys(end)}
    log(logging.WARNING, message, *arguments, **keys)
    if signals.attempt_failed.receivers:
        bounded = shortened(error, LONGEST_ERROR)
        signals.send(signals.attempt_failed, **end._asdict(), error=bounded, retry_in=seconds)


def announce_failure_of_another(end: EndOfAttempt, *, reason: str) -> None:
    """Log why a function has failed whose executor is gone, and send ``function_finished``, both after the commit.

    That is once the transaction that is open has committed, and at once outside of one.
    """
    transaction.on_commit(partial(_announce_failure, end, reason), using=end.using, robust=True)


def _announce_failure(end: EndOfAttempt, reason: str) -> None:
    message = "%s %s: failed (%s), because %s"
    log(logging.ERROR, message, end.name, end.function_id, end.failure, reason, **_keys(end))
    _send(end)


def _keys(end: EndOfAttempt) -> dict[str, Any]:
    """Return the keys that every log record of an end carries."""
    return {
        "function": end.name,
        "function_id": end.function_id,
        "queue": end.queue,
        "executor": end.executor,
        "state": end.state,
        "failure": end.failure,
    }


def _send(end: EndOfAttempt) -> None:
    if signals.function_finished.receivers:
        signals.send(signals.function_finished, **end._asdict())
