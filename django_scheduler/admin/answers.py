"""Each query of a page has a time limit. What did not finish is missing from the page, which says so."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db import DatabaseError

from django_scheduler.databases import Database

T = TypeVar("T")

#: In seconds. A page has some ten queries, and is refreshed every two seconds.
TIME_LIMIT = 1.0


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What a query has found; ``None`` if its time was up."""

    value: T | None

    @property
    def is_late(self) -> bool:
        return self.value is None


def ask(database: Database, query: Callable[[], T]) -> Answer[T]:
    """Ask within the time limit."""
    try:
        with database.time_limit(TIME_LIMIT):
            return Answer(query())
    except DatabaseError as error:
        if not database.is_time_up(error):
            raise
        return Answer(None)
