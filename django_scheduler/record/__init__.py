"""TODO."""

from django_scheduler.record.error_record import clear_frames, describe, plainer
from django_scheduler.record.pending_calls import check_pending_calls
from django_scheduler.record.retention import completed_before, delete_completed_before, delete_expired

__all__ = [
    "check_pending_calls",
    "clear_frames",
    "completed_before",
    "delete_completed_before",
    "delete_expired",
    "describe",
    "plainer",
]
