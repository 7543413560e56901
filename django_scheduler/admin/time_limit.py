"""Each query of a page has a time limit. What did not finish in time is missing from the page, which says so."""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from django.db import DatabaseError

from django_scheduler.databases import Database

T = TypeVar("T")

#: In seconds. A page has some ten queries, and is refreshed every two seconds.
TIME_LIMIT = 1.0


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """Holds what a query has found; ``None`` if its time was up."""

    value: T | None

    @property
    def is_late(self) -> bool:
        return self.value is None


class Questions(ExitStack):
    """Runs the queries of a page, each within the time limit (on PostgreSQL in a transaction).

    Example::

        with Questions(database) as ask:
            answer = ask(functions.count)
    """

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    def __enter__(self) -> Self:
        self.enter_context(self._database.time_limit(TIME_LIMIT))
        return self

    def __call__(self, query: Callable[[], T]) -> Answer[T]:
        """Run a query. Raises its errors, except that its time was up."""
        try:
            return Answer(query())
        except DatabaseError as error:
            if not self._database.is_time_up(error):
                raise
            # PostgreSQL ends the transaction by that, so the next query needs another one.
            with suppress(DatabaseError):
                self.__exit__(type(error), error, error.__traceback__)
            self.__enter__()
            return Answer(None)


def ask(database: Database, query: Callable[[], T]) -> Answer[T]:
    """Run a single query within the time limit."""
    with Questions(database) as questions:
        return questions(query)
