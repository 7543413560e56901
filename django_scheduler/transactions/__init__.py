"""Transactions: say whether what a body has done would be committed, and whether it may be tried again.

``watch.py`` watches the transaction in which a body runs, ``attempt.py`` repeats one that has conflicted with another,
and ``backoff.py`` says how long to wait before trying again.
"""

from django_scheduler.transactions.attempt import Attempt, in_transaction
from django_scheduler.transactions.backoff import Backoff, DoublingWait, backoff
from django_scheduler.transactions.watch import OwnTransaction, TransactionWatch

__all__ = ["Attempt", "Backoff", "DoublingWait", "OwnTransaction", "TransactionWatch", "backoff", "in_transaction"]
