"""The contract says what a vendor has to answer by itself.

What the error of a statement means, and how one thread stops the statement of another, is different everywhere. SQL
that all vendors understand is in ``sql.py``, ``key_rows.py``, ``slots.py``, ``claiming.py`` and ``queries.py``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Any, ClassVar

from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from django_scheduler.databases import django_internals
from django_scheduler.databases.rows import Claimable, DueFunction, Lane, Wanted, in_order
from django_scheduler.databases.silence import Descriptor
from django_scheduler.errors import TransientError


class Contract(ABC):
    """Answers what each vendor answers in its own way."""

    #: The database's clock, as SQL; the same throughout a statement.
    clock: ClassVar[str]
    #: Whether one executing mutation keeps every other writer waiting.
    has_one_writer: ClassVar[bool] = False
    #: Whether there is a server, which may not answer.
    has_server: ClassVar[bool] = True
    #: Those of an executor's connections, where the site has none of its own: how long connecting may take, in seconds.
    options: ClassVar[dict[str, Any]] = {"connect_timeout": 10}
    #: Whether a transaction can only be rolled back once one of its statements has failed.
    an_error_breaks_the_transaction: ClassVar[bool] = False
    #: Checks deferred constraints in one round trip, and defers them again. Empty: Django's own code checks them.
    deferred_checks: ClassVar[str] = ""
    #: How long an idle executor sleeps when nothing wakes it, in seconds.
    poll_interval: float = 1.0

    def __init__(self, using: str) -> None:
        self.using = using

    @property
    @abstractmethod
    def connection(self) -> BaseDatabaseWrapper:
        """Return the connection of the current thread."""

    # What the error of a statement means, and whether the same again may succeed

    def ends_transaction(self, error: BaseException) -> bool:
        """Return whether the error of a statement has also undone what the transaction had done before."""
        return self.is_lost(error)

    def is_transient(self, error: BaseException) -> bool:
        """Return whether the same again may succeed: a conflict, a timeout, a lost connection."""
        if isinstance(error, TransientError):
            return True
        return isinstance(error, DatabaseError | InterfaceError) and (
            self.is_lost(error) or self.is_conflict(error) or self._is_passing(error)
        )

    def is_interruption(self, error: BaseException) -> bool:
        """Return whether somebody has stopped the statement or the session, as a cancel does."""
        return False

    def recurs(self, error: BaseException, statement_bytes: int) -> bool:
        """Return whether an error that looks like that of a lost connection would be met again, each time.

        It is asked before anything else happens on the connection. ``statement_bytes``: the size of what was sent.
        """
        return False

    @abstractmethod
    def is_conflict(self, error: BaseException) -> bool:
        """Return whether a statement failed because the transaction conflicted with another one.

        Then the same transaction may succeed when it is repeated.
        """

    @abstractmethod
    def is_lost(self, error: BaseException) -> bool:
        """Return whether the connection is gone, or can no longer be used."""

    @abstractmethod
    def names_what_is_not_there(self, error: DatabaseError) -> bool:
        """Return whether a statement names a table or a column that the database does not have."""

    def _is_passing(self, error: BaseException) -> bool:
        """Return whether another error will have passed after a while: a lock timeout, a full disk."""
        return False

    def waits_for_this_transaction(self, error: BaseException) -> bool:
        """Return whether an error of another connection says that it waited for the transaction of this thread."""
        return False

    def largest_statement(self, connection: BaseDatabaseWrapper) -> int | None:
        """Return how many bytes a statement may have, or ``None`` where there is no such limit."""
        return None

    # The transaction in which mutations execute, and its session

    @abstractmethod
    def is_transaction_open(self) -> bool:
        """Return whether the transaction that was begun is still open, as far as is known without a statement."""

    def finds_transaction_open(self) -> bool:
        """Ask the server whether a transaction is open, where it can tell and nothing else can."""
        return False

    def sees_what_is_committed(self) -> bool:
        """Return whether a statement sees what others have committed since its transaction began."""
        return True

    @abstractmethod
    def mark_transaction(self) -> None:
        """Leave a mark in the open transaction, where nothing else shows whether it has been ended meanwhile."""

    @abstractmethod
    def is_transaction_marked(self) -> bool:
        """Return whether this is still the transaction that was marked, and remove the mark."""

    @abstractmethod
    def session(self) -> Any:
        """Return what ``interrupt_statement`` and ``end_session`` need of this thread's session, without asking."""

    # Claiming

    @abstractmethod
    def claim(self, lane: Lane, wanted: Wanted, *, most: int) -> list[Claimable]:
        """Lock the first functions of a lane that are due and wanted and that nobody else has locked, so many at most.

        The locks last as long as the transaction, in which this must be called. Of a lane that is known only because a
        wake-up has named a function, only that one is claimed. Nothing is claimed in a queue that is paused.
        """

    def claim_in_several(self, lanes: Sequence[Lane], wanted: Wanted, *, most: int, of_each: int) -> list[Claimable]:
        """Lock as ``claim`` does in lanes of one priority, one after the other, until there are so many.

        ``of_each``: how many at most of one lane. Nothing is locked that is not returned, in the order of due times.
        This default takes a statement for each lane.
        """
        claimed: list[Claimable] = []
        for lane in lanes:
            claimed += self.claim(lane, wanted, most=min(of_each, most - len(claimed)))
            if len(claimed) == most:
                break
        return sorted(claimed, key=in_order)

    # Groups, cancels and wake-ups

    def check_constraints_early(self) -> None:
        """Have deferred constraints checked by each statement of the open transaction, where the vendor can."""

    def lock_rows(self, ids: Collection[int]) -> None:
        """Lock rows, and interrupt the mutations that hold them, where the vendor can. Elsewhere do nothing."""

    def send_wakeup(self, due_function: DueFunction | None = None) -> None:
        """Tell the executors of other processes to look, or what to claim, where the vendor can.

        Elsewhere do nothing.
        """

    # The sessions of executors

    def prepare_session(self) -> None:
        """Set up a new connection of an executor."""

    def expect_claim(self) -> float:
        """Make this thread's session ready for the claim of one function, where that makes the claim quicker.

        Return how long before its time the first one of a lane may be claimed, in seconds: the claim waits for it.
        """
        return 0.0

    def new_connection(self) -> BaseDatabaseWrapper:
        """Return another connection than this thread's, which is made in time, or fails. The caller closes it."""
        connection = connections.create_connection(self.using)
        django_internals.add_options(connection, self.options)
        return connection

    @abstractmethod
    def interrupt_statement(self, session: Any) -> None:
        """Stop the statement that another thread's session is executing, if it is."""

    @abstractmethod
    def end_session(self, session: Any) -> None:
        """End another thread's session, so that its transaction vanishes, wherever that thread is."""

    def descriptor_of(self, driver: Any) -> Descriptor | None:
        """Return by what another thread can cut a driver's connection, where there is a server.

        Some drivers answer this only while they execute nothing.
        """
        return None

    def is_at_work(self, session: Any) -> bool:
        """Return whether the server is executing what another thread's session has asked for, and waits for nobody."""
        return False

    def listen(self, wake: Callable[[DueFunction | None], None], stopping: Event) -> None:
        """Call ``wake`` for each wake-up of another process until ``stopping``. Where there are none, return."""

    # Browsing

    @contextmanager
    def time_limit(self, seconds: float) -> Iterator[None]:
        """Let each statement within fail that takes longer, with an error that ``is_time_up`` knows."""
        yield

    def is_time_up(self, error: BaseException) -> bool:
        """Return whether a statement has met the ``time_limit``."""
        return False
