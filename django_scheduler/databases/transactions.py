"""Transactions: whether the one in which mutations execute is still there, and what it lets notice."""

from typing import ClassVar

from django_scheduler.databases.alias import Alias


class Transactions(Alias):
    #: Whether the error of one statement leaves its transaction nothing but to be rolled back.
    an_error_breaks_the_transaction: ClassVar[bool] = False

    def is_transaction_open(self) -> bool:
        """Whether nothing has ended the transaction that has begun, as far as that is known without asking."""
        return self.connection.in_atomic_block

    def is_transaction_intact(self) -> bool:
        """Whether no error has broken it either."""
        return self.is_transaction_open() and not self.connection.needs_rollback

    def mark_transaction(self) -> None:
        """Leave a mark in the open transaction, where nothing else shows whether it has been ended meanwhile."""

    def is_transaction_marked(self) -> bool:
        """Whether this is still the transaction that was marked; its mark goes."""
        return True

    def check_constraints_early(self) -> None:
        """Have deferred constraints checked by each statement of the open transaction, where there are any."""

    def may_group(self) -> bool:
        """Whether nothing in this database would notice that several mutations share a transaction."""
        return True
