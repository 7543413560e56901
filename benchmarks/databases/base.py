"""What the harness needs of a database."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

BUSINESS = {
    "business_order": "number bigint NOT NULL, customer varchar(100) NOT NULL",
    "effect": "job bigint NOT NULL",
}


@dataclass(frozen=True, slots=True)
class Costs:
    """What the server has done."""

    #: ``None``: it cannot tell.
    statements: int | None
    #: Transactions, and savepoints, that wrote.
    commits: int
    wal_bytes: int


class Copy(ABC):
    """One database, used by one contender for one workload."""

    #: How a contender finds it.
    environment: Mapping[str, str]

    @abstractmethod
    def effects(self) -> int:
        """How many rows the bodies have written."""

    @abstractmethod
    def effects_by_job(self) -> dict[int, int]:
        """How many for each job."""

    @abstractmethod
    def multiply_rows(self, table: str, due: str, count: int, *, ahead: float) -> None:
        """Copy the row of a table whose column ``due`` lies so many seconds ahead, or more, until there are ``count``,
        one due each second.
        """

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[None]:
        """Hold a snapshot open within the block, which sees what is there now; then remove what only it has seen."""

    @abstractmethod
    def counting(self) -> AbstractContextManager[list[Costs]]:
        """Count what the server does for this database within the block; at its end the list has one element."""


class Database(ABC):
    """A server, or a directory of files."""

    name: str
    #: Version and settings, in a sentence.
    description: str

    @abstractmethod
    def create(self, name: str) -> Copy:
        """A new database with the tables of the business."""

    @abstractmethod
    def copy(self, original: str, name: str) -> AbstractContextManager[Copy]:
        """A copy of a database that nobody uses, for as long as the block lasts."""
