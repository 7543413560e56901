"""The record: what may become of a row, from its insertion on.

* ``transitions.py`` is the state machine, and the only place that changes a row's state or due time.
* ``ends.py`` does what follows an end: ``callbacks.py`` schedules the callbacks, to which ``outcomes.py`` describes it,
  and ``batches.py`` counts it.
* ``waiting.py`` lets in what waits for a limit, and ``wakeup.py`` wakes executors.
* ``announcing.py`` tells the log and the receivers of signals of an end; ``error_record.py`` says how an exception is
  recorded, and ``earlier_attempts.py`` what is kept of attempts that were repeated.
* ``retention.py`` deletes what ended long ago, by ``deletion.py``.
* ``pending_calls.py`` looks whether the code can still call what waits.
"""

from django_scheduler.record import batches, callbacks, deletion, transitions, wakeup
from django_scheduler.record.announcing import (
    EndOfAttempt,
    announce,
    announce_failed_attempt,
    announce_failure_of_another,
    announce_successes,
)
from django_scheduler.record.earlier_attempts import EarlierAttempts, earlier_attempts, read_earlier_attempts
from django_scheduler.record.ends import FollowedFunction, follow
from django_scheduler.record.error_record import (
    clear_frames,
    describe,
    forget_traceback,
    in_ascii,
    in_plain_words,
    is_same,
)
from django_scheduler.record.outcomes import BatchOutcome, Outcome
from django_scheduler.record.pending_calls import CallCheck, check_callbacks, check_pending_calls
from django_scheduler.record.retention import (
    Retention,
    RetentionRule,
    delete_ended_batches,
    delete_expired,
    delete_idle_slots,
    delete_unheld_keys,
    retention_rules,
)
from django_scheduler.record.transitions import Transition
from django_scheduler.record.waiting import let_in, let_in_expired, let_in_these

__all__ = [
    "BatchOutcome",
    "CallCheck",
    "EarlierAttempts",
    "EndOfAttempt",
    "FollowedFunction",
    "Outcome",
    "Retention",
    "RetentionRule",
    "Transition",
    "announce",
    "announce_failed_attempt",
    "announce_failure_of_another",
    "announce_successes",
    "batches",
    "callbacks",
    "check_callbacks",
    "check_pending_calls",
    "clear_frames",
    "delete_ended_batches",
    "delete_expired",
    "delete_idle_slots",
    "delete_unheld_keys",
    "deletion",
    "describe",
    "earlier_attempts",
    "follow",
    "forget_traceback",
    "in_ascii",
    "in_plain_words",
    "is_same",
    "let_in",
    "let_in_expired",
    "let_in_these",
    "read_earlier_attempts",
    "retention_rules",
    "transitions",
    "wakeup",
]
