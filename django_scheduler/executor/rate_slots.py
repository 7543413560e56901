"""A rate slot is a slot of a rate limit that was taken for a body which is about to begin: see ``rates.py``."""

import asyncio
import time
from collections.abc import Collection
from contextlib import nullcontext, suppress
from datetime import timedelta

from django.db import DatabaseError, InterfaceError

from django_scheduler.databases import TakenSlot, WantedSlots
from django_scheduler.errors import TransientError
from django_scheduler.executor.second_session import SecondSession
from django_scheduler.executor.session import in_session
from django_scheduler.executor.threads import start_in_background

#: How often a body that begins late takes its slot again before it begins all the same: the database takes too long to
#: answer for it to become any better.
MOST_TRIES = 3

#: How often a body that has lost its slot, because the machine stood still, looks for another one, and for how long: in
#: seconds. After that a mutation is executed later, and an action, which is on record as begun, begins.
LOOK_INTERVAL, LONGEST_LOOK = 0.05, 2.0

TOO_LATE = "its body would have begun too late, and could not take another slot of its rate limit"


class RateSlot:
    """Is a slot of a rate limit that was taken for a body.

    ``asked_at``: when it was asked for, by ``time.perf_counter()``: the database has taken it then or later.
    ``outside_transaction``: it is of a mutation, so it is taken outside of its transaction, where the vendor can.
    """

    def __init__(
        self,
        session: SecondSession,
        slot: TakenSlot,
        asked_at: float,
        wanted: WantedSlots,
        longest_delay: timedelta,
        outside_transaction: bool,
    ) -> None:
        self._session = session
        self._slot = slot
        self._asked_at = asked_at
        self._wanted = wanted._replace(number=1)
        self._longest_delay = longest_delay.total_seconds()
        self._outside_transaction = outside_transaction

    @property
    def is_elsewhere(self) -> bool:
        """Return whether another session has taken the slot."""
        return self._outside_transaction and self._session.database.has_server

    @property
    def is_late(self) -> bool:
        """Return whether the slot was taken too long ago for a body that begins now."""
        return time.perf_counter() - self._asked_at > self._longest_delay

    def renew_if_late(self) -> None:
        """Take the slot again, or another one, if the body begins late."""
        for tries in range(1, MOST_TRIES + 1):
            if not self.is_late:
                return
            try:
                self._take_again()
            except (DatabaseError, InterfaceError) as error:
                if self._outside_transaction and not self.is_elsewhere:
                    raise  # of the transaction of the body
                if self._outside_transaction and tries == MOST_TRIES:
                    raise TransientError(f"{TOO_LATE}: {error}") from error

    async def renew_if_late_on_event_loop(self) -> None:
        """Take the slot again, in another thread, if a body on the event loop begins late."""
        for _ in range(MOST_TRIES):
            if not self.is_late:
                return
            take_again = start_in_background(in_session(self._session.database, self._take_again))
            with suppress(DatabaseError, InterfaceError):
                await asyncio.wrap_future(take_again)

    def give_back(self) -> None:
        """Free the slot: the body does not begin."""
        give_back([self])

    def _take_again(self) -> None:
        asked_at = time.perf_counter()
        until = asked_at + LONGEST_LOOK
        # Outside also for an action: around its body, middleware may have a transaction open.
        slot = self._session.ask(lambda: self._session.database.take_again(self._slot), outside_transaction=True)
        while slot is None and time.perf_counter() < until:
            asked_at = time.perf_counter()
            slot = self._session.ask(self._take_another, outside_transaction=True)
            if slot is None:
                time.sleep(LOOK_INTERVAL)
        if slot is not None:
            self._slot, self._asked_at = slot, asked_at
        elif self._outside_transaction:
            raise TransientError(f"{TOO_LATE}: there was none")

    def _take_another(self) -> TakenSlot | None:
        database = self._session.database
        slots = database.take_rate_slots([self._wanted])
        if not slots and (missing := database.missing_slots([self._wanted])):
            database.add_slots(missing)
            slots = database.take_rate_slots([self._wanted])
        return slots[0] if slots else None


def give_back(slots: Collection[RateSlot]) -> None:
    """Free the slots of bodies that do not begin, in one statement.

    What another session cannot free is free after its window, and concerns nothing that this thread does.
    """
    if slots:
        first = next(iter(slots))
        with suppress(DatabaseError, InterfaceError) if first.is_elsewhere else nullcontext():
            database, taken = first._session.database, [each._slot for each in slots]
            first._session.ask(lambda: database.give_back(taken), outside_transaction=first._outside_transaction)
