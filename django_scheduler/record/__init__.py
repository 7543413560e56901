"""The record: what may become of a row once it has been inserted.

``transitions.py`` is the state machine, and the only place that changes a row's state or due time. ``announcing.py``
tells the log and the receivers of signals of an end, ``error_record.py`` says how an exception is recorded, and
``retention.py`` deletes what ended long ago, by ``deletion.py``. ``pending_calls.py`` looks whether the code
can still call what waits.
"""

from django_scheduler.record import deletion, transitions
from django_scheduler.record.announcing import End, announce, announce_failure_of_another, announce_successes
from django_scheduler.record.error_record import (
    clear_frames,
    describe,
    forget_traceback,
    in_ascii,
    in_plain_words,
    is_same,
)
from django_scheduler.record.pending_calls import CallCheck, check_pending_calls
from django_scheduler.record.retention import Retention, completed_before, delete_completed_before, delete_expired
from django_scheduler.record.transitions import Transition

__all__ = [
    "CallCheck",
    "End",
    "Retention",
    "Transition",
    "announce",
    "announce_failure_of_another",
    "announce_successes",
    "check_pending_calls",
    "clear_frames",
    "completed_before",
    "delete_completed_before",
    "delete_expired",
    "deletion",
    "describe",
    "forget_traceback",
    "in_ascii",
    "in_plain_words",
    "is_same",
    "transitions",
]
