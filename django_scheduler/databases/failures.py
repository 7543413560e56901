"""Failures: what the error of a statement means, and whether the same again may succeed."""

from abc import abstractmethod

from django.db import DatabaseError, InterfaceError

from django_scheduler.databases.alias import Alias
from django_scheduler.errors import TransientError


class Failures(Alias):
    def ends_transaction(self, error: BaseException) -> bool:
        """Whether the error of a statement has also undone what the transaction had done before."""
        return self.is_lost(error)

    def is_transient(self, error: BaseException | None) -> bool:
        """Whether the same again may succeed: a conflict, a timeout, a lost connection."""
        if isinstance(error, TransientError):
            return True
        return isinstance(error, DatabaseError | InterfaceError) and (
            self.is_lost(error) or self.is_conflict(error) or self._is_passing(error)
        )

    def is_interruption(self, error: BaseException) -> bool:
        """Whether somebody has stopped the statement or the session, as a cancel does."""
        return False

    @abstractmethod
    def is_conflict(self, error: BaseException) -> bool:
        """Whether the database has rolled the transaction back because it conflicted with another one."""

    @abstractmethod
    def is_lost(self, error: BaseException) -> bool:
        """Whether the connection is gone, or can no longer be used."""

    def _is_passing(self, error: BaseException) -> bool:
        """Whether another error will have passed after a while: a lock timeout, a full disk."""
        return False
