"""TODO."""

from django_scheduler.transactions.attempt import Attempt, in_transaction
from django_scheduler.transactions.backoff import DoublingWait, backoff
from django_scheduler.transactions.watch import TransactionWatch

__all__ = [
    "Attempt",
    "DoublingWait",
    "TransactionWatch",
    "backoff",
    "in_transaction",
]
