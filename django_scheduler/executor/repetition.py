"""Repetition: whether an attempt that has ended without success is followed by another one, when, and what is recorded.

It is the same row each time, which is due again later. There are three reasons for it, and each is decided here:

* The attempt *failed*, and the function's ``Retry`` covers that: what the body raised is a known outcome, so the body
  may start again. That its executor is gone, or that its time was up, is none: by then an action may have done
  anything. Only one that is declared ``idempotent`` is repeated after that, and after an exception that is no
  ``Exception``, which says that the process or the event loop is about to end. Failures count: after
  ``Retry.max_attempts`` of them the last one is final.
* The body *asked* for it, by ``TransientError``. That is no failure. If it has said when, it is repeated then, as often
  as it asks. If not, it is repeated as after a transient error.
* A mutation met a *transient error*. That is no failure either, and there may be any number of them, but not the same
  one again and again (``MAX_SAME_ERRORS``).

What the first two waited for says nothing of what the third one meets. So each of them waits by a count of its own:
failures, or how often the same error has come in a row.

Three things are never repeated, whatever is declared. That this code refuses the arguments, because then no body has
begun, and other code may take them (``unexecutable.py``). A broken transaction, or one that the body has ended by
itself: what it had written may be committed. And a ``TransientError`` of a mutation that an action has called:
it is not the word of the action.

Two bodies of one function never run at the same time. What is repeated is pending only once its body has ended or its
executor is gone, and everybody who records an end names the attempt that it is the end of.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django_scheduler.conf import get_settings
from django_scheduler.durations import FURTHEST
from django_scheduler.errors import BrokenTransaction, TransientError
from django_scheduler.executor.body import FunctionExecution
from django_scheduler.functions import AnyFunction, Retry
from django_scheduler.models import Failure, Kind, State
from django_scheduler.record import (
    EarlierAttempts,
    EndOfAttempt,
    announce_failed_attempt,
    describe,
    earlier_attempts,
    is_same,
)
from django_scheduler.transactions import backoff


class Repetition(NamedTuple):
    """Says when the next attempt follows, and what is recorded of the one that has ended."""

    wait: timedelta
    #: The columns of ``RETRY_BEGUN``, and those of ``RETRY`` without the number of attempts.
    changes: dict[str, Any]
    #: How the attempt has failed, and of how many that may; ``None``: it has not.
    failure: Failure | None = None
    max_attempts: int = 0
    #: Whether its body has said when to repeat it.
    is_asked_for: bool = False


class GivenUp(NamedTuple):
    """Says that the same transient error has come too often, and what is recorded of it."""

    same_errors: int
    description: dict[str, str]
    #: What the log says of it.
    detail: str


def after_failure(execution: FunctionExecution, error: BaseException, failure: Failure) -> Repetition | None:
    """Return what follows an attempt that has failed; ``None``: nothing, its failure is final.

    The session must be able to read: for any attempt but the first one it is read which failures came before.
    """
    retry = execution.function.retry
    if retry is None or not _is_covered(execution, retry, error, failure):
        return None
    earlier = execution.earlier_attempts()
    repetition = _after_failure(retry, earlier, execution.present, execution.executor_name, describe(error), failure)
    if repetition is None:
        execution.last_attempt = f"attempt {earlier.failures + 1} of {retry.max_attempts}"
    return repetition


def _is_covered(execution: FunctionExecution, retry: Retry, error: BaseException, failure: Failure) -> bool:
    if error is execution.refusal:
        return False
    if failure is Failure.TIMEOUT or not issubclass(type(error), Exception):
        return execution.function.idempotent
    if execution.kind is Kind.MUTATION and issubclass(type(error), BrokenTransaction):
        return False
    return retry.covers(error)


def after_loss(function: AnyFunction, row: Mapping[str, Any], reason: str, present: datetime) -> Repetition | None:
    """Return what follows an action whose executor is gone; ``None``: nothing, it is lost.

    ``row``: its columns ``executor``, ``failures`` and ``history``.
    """
    if function.retry is None or not function.idempotent:
        return None
    error = f"Lost: {reason} while the action was executing. It is idempotent, so it is started again."
    description = {"error": error, "traceback": ""}
    return _after_failure(function.retry, earlier_attempts(row), present, row["executor"], description, Failure.LOST)


def _after_failure(
    retry: Retry,
    earlier: EarlierAttempts,
    present: datetime,
    executor_name: str,
    description: dict[str, str],
    failure: Failure,
) -> Repetition | None:
    now = earlier.followed_by(time=present, executor=executor_name, error=description["error"], has_failed=True)
    if now.failures >= retry.max_attempts:
        return None
    wait = retry.backoff.wait(now.failures)
    changes = {"due_time": wait, "same_errors": 0, **description, **now.on_record}
    return Repetition(wait, changes, failure, retry.max_attempts)


def asks_for_repetition(error: BaseException) -> bool:
    """Return whether the body of an action has asked to be repeated."""
    return issubclass(type(error), TransientError) and not vars(error).get("is_of_called_mutation")


def after_transient_error(execution: FunctionExecution, error: BaseException) -> Repetition | GivenUp:
    """Return what follows an attempt that has met a transient error, or whose body has raised one.

    The session must be able to read, as for ``after_failure``.
    """
    description = describe(error)
    after = _asked_for(error)
    same_errors = 0
    if after is None:
        same_errors = 1 + (
            execution.claimed.same_errors if is_same(description["error"], execution.claimed.error) else 0
        )
        limit = get_settings().MAX_SAME_ERRORS
        if limit is not None and same_errors >= limit:
            return _given_up(same_errors, description)
    wait = backoff(same_errors) if after is None else after
    now = execution.earlier_attempts().followed_by(
        time=execution.present, executor=execution.executor_name, error=description["error"], has_failed=False
    )
    changes = {"due_time": wait, "same_errors": same_errors, **description, **now.on_record}
    return Repetition(wait, changes, is_asked_for=after is not None)


def _asked_for(error: BaseException) -> timedelta | None:
    """Return when the body wants to be repeated; ``None``: it has not said."""
    with suppress(Exception):  # a class of the project's may have an ``after`` of its own
        if issubclass(type(error), TransientError) and isinstance(after := getattr(error, "after", None), timedelta):
            return min(max(after, timedelta(0)), FURTHEST)
    return None


def _given_up(same_errors: int, description: dict[str, str]) -> GivenUp:
    error = (
        f"{description['error']}\n\nThat was the same error in {same_errors:,} attempts in a row, so it is not repeated"
        " any more (DJANGO_SCHEDULER['MAX_SAME_ERRORS']). Remove the cause, and run it again."
    )
    detail = f"the same error in {same_errors:,} attempts in a row"
    return GivenUp(same_errors, {**description, "error": error}, detail)


def note_repetition(execution: FunctionExecution, repetition: Repetition) -> None:
    """Log that an attempt is repeated, which is on record; and if it has failed, send ``attempt_failed``."""
    execution.is_repeated = True
    error = execution.mask(repetition.changes["error"])
    if repetition.failure is not None:
        announce_repetition(execution.as_end(State.PENDING, repetition.failure), repetition, error)
        return
    seconds, pending = repetition.wait.total_seconds(), State.PENDING.value
    if repetition.is_asked_for:
        message = "attempt %d has asked to be repeated in %.3f s: %s"
        execution.log(logging.INFO, message, execution.attempt, seconds, error, state=pending)
    else:
        message = "attempt %d met a transient error and is repeated in %.3f s: %s"
        execution.log(logging.WARNING, message, execution.attempt, seconds, error, state=pending)


def announce_repetition(end: EndOfAttempt, repetition: Repetition, error: str) -> None:
    """Announce that an attempt has failed and is repeated; ``error``: what it is, with secrets masked."""
    announce_failed_attempt(
        end,
        error=error,
        failures=repetition.changes["failures"],
        max_attempts=repetition.max_attempts,
        wait=repetition.wait,
    )
