"""What a database can be asked: each kind of question is a file beside this one, with the SQL that all understand."""

from collections.abc import Collection
from typing import ClassVar

from django_scheduler.databases.browsing import Browsing
from django_scheduler.databases.claiming import Claiming
from django_scheduler.databases.failures import Failures
from django_scheduler.databases.lanes import Lanes
from django_scheduler.databases.recording import Recording
from django_scheduler.databases.scheduling import Scheduling
from django_scheduler.databases.sessions import Sessions
from django_scheduler.databases.transactions import Transactions


class Database(Scheduling, Lanes, Claiming, Recording, Browsing, Sessions, Transactions, Failures):
    """One database alias, and what its vendor can do."""

    #: Whether one executing mutation keeps every other writer waiting.
    has_one_writer: ClassVar[bool] = False
    #: How long an idle executor sleeps when nothing wakes it, in seconds.
    poll_interval: float = 1.0

    def lock_rows(self, ids: Collection[int]) -> None:
        """Lock rows, interrupting the mutations that hold them where the database can; else do nothing."""
