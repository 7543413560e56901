"""How many functions to claim at a time: one, and twice as many each time that turned out well.

The workers of an executor share what they have learned of a lane, so that it is learned once; and a lane with a single
function teaches nothing about one with a backlog.
"""

import time
from collections import defaultdict

from django_scheduler.databases import Lane
from django_scheduler.executor.lone_names import FOR_A_WHILE

LARGEST = 100

#: Groups grow only while there is time for all of their members, so those of one so large take a few milliseconds each.
LARGE = 16

#: Of their time, what bodies have to spend computing for a thread beside them to be more of a hindrance than a help.
MUCH_COMPUTING = 1 / 3

#: How many groups in a row have to wait: beside the first ones, those that were small are still at work.
TRIES = 4


class GroupSize:
    """Grows with a backlog of short mutations; shrinks without one, and when they are long or something goes wrong."""

    _grows_from = 0.0
    _waits_until = 0.0
    _waited = 0

    def __init__(self) -> None:
        #: How many to claim next.
        self.next = 1

    def went_well(self, executed: int, *, asked_for: int) -> None:
        """So many were executed: as many as were asked for, or as there were, or as there was time for."""
        if executed < asked_for:
            self.next = max(executed, 1)
        elif time.monotonic() >= self._grows_from:
            self.next = max(self.next, min(2 * executed, LARGEST))

    def went_wrong(self) -> None:
        """A group was rolled back, or what was due first cannot be part of one."""
        self.next = 1

    def cannot_grow(self) -> None:
        """Nothing can share a transaction in this database: it is not tried again for a while."""
        self.next = 1
        self._grows_from = time.monotonic() + FOR_A_WHILE

    def keeps_turn(self, members: int) -> bool:
        """Whether a group should compute without other threads beside it, because they share Python's lock.

        It is found out by trying, every ten seconds, because with others beside it every thread waits.
        """
        return members >= LARGE and time.monotonic() >= self._waits_until

    def kept_turn(self, computing_share: float) -> None:
        """How much of their time the bodies of a group have spent computing that had the turn meanwhile."""
        self._waited = self._waited + 1 if computing_share < MUCH_COMPUTING else 0
        if self._waited == TRIES:
            self._waited = 0
            self._waits_until = time.monotonic() + FOR_A_WHILE


class GroupSizes:
    """Of every lane."""

    def __init__(self) -> None:
        self._sizes: defaultdict[tuple[str, int], GroupSize] = defaultdict(GroupSize)

    def of(self, lane: Lane) -> GroupSize:
        return self._sizes[lane.queue, lane.priority]
