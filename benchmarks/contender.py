"""What the harness asks of a contender, and what those that use Django, or asyncio, have in common."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from datetime import datetime
from typing import Any, TypeVar

T = TypeVar("T")


class NotSupported(Exception):
    """The contender cannot do it; the message says what it lacks."""


class Contender(ABC):
    """A job queue. Its bodies are named as in ``business/bodies.py``."""

    @abstractmethod
    def prepare(self) -> None:
        """Create its tables, in a database in which only those of the business are."""

    @abstractmethod
    def schedule(self, body: str, job: int) -> float:
        """Schedule one function and write one row of the business, in one transaction if it can.

        Returns when that transaction had committed, in seconds since the epoch.
        """

    @abstractmethod
    def schedule_many(self, body: str, jobs: Sequence[int]) -> None:
        """Schedule many functions in the quickest way that it offers."""

    def schedule_at(self, body: str, job: int, when: datetime) -> None:
        """Schedule one function for later."""
        raise NotSupported("it has no time of execution")

    def schedule_in_queues(self, body: str, jobs: Sequence[int], queues: int) -> None:
        """Schedule many functions, spread over so many queues, all of which its worker takes."""
        raise NotSupported("its worker is told each of the queues that it takes, or there are none")

    def cancel_all(self) -> None:
        """Cancel, or forget, everything that is unfinished."""
        raise NotSupported("it cannot cancel what waits")

    @abstractmethod
    def unfinished(self) -> int:
        """How many functions it still holds for pending or running."""


class DjangoContender(Contender):
    """Schedules inside of ``atomic()``, next to the business row."""

    def prepare(self) -> None:
        from django.core.management import call_command

        call_command("migrate", verbosity=0)

    @abstractmethod
    def enqueue(self, body: str, job: int) -> None:
        """Schedule one function, as part of the transaction that is open if it can."""

    def schedule(self, body: str, job: int) -> float:
        from django.db import transaction

        from benchmarks.business.models import Order

        committed: list[float] = []
        with transaction.atomic():
            # The first hook: before those that wake a worker.
            transaction.on_commit(lambda: committed.append(time.time()))
            Order.objects.create(number=job, customer="Ada Lovelace")
            self.enqueue(body, job)
        return committed[0]

    def schedule_many(self, body: str, jobs: Sequence[int]) -> None:
        """Where there is no API for it: one by one, in one transaction."""
        from django.db import transaction

        with transaction.atomic():
            for job in jobs:
                self.enqueue(body, job)


class AsyncContender(Contender):
    """Runs what it does on an event loop of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)
