"""Tenants take turns: of the lanes of one queue and priority, the one that was served longest ago comes first.

A lane that has not been served is the first of all, so a tenant who has just come waits for nobody's backlog. Which
lanes have been served is known to this executor alone. Several executors, each of which serves the tenants by turns,
give each of them as much.

Turns are taken within a queue and a priority, and change nothing between queues. There the order of due times decides
about places: a queue keeps those that its lanes have by their due times, and the turns say which lane takes which. So a
queue is as late as what waits in it, whoever's turn it is.

Nobody waits for a tenant that has nothing due: only lanes that are due have a place.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import count

from django_scheduler.databases import Claimable, Lane, LaneKey

#: How many lanes are known that have been served. The one that was served longest ago is forgotten, which comes first
#: then, as it would anyway.
MOST_SERVED = 20_000

#: How many functions a lane gives at most when its turn is a claim of its own.
ONE_TURN = 10


class Turns:
    """Knows when each lane was served. Only the thread that has the claim lock uses it."""

    def __init__(self) -> None:
        self._served: dict[LaneKey, int] = {}
        self._next = count(1)
        #: The queues and priorities in which the lanes that are due take turns.
        self._taken_in: set[tuple[str, int]] = set()

    def are_taken_in(self, lane: Lane) -> bool:
        """Return whether the lane, which is due, is one of several of its queue and priority."""
        return (lane.queue, lane.priority) in self._taken_in

    def in_turn(self, lanes: Sequence[Lane]) -> Sequence[Lane]:
        """Return the lanes that are due, which are in the order of due times, so that each takes its turn."""
        self._taken_in = set()
        if not any(lane.tenant for lane in lanes):
            return lanes
        places: dict[tuple[str, int], list[int]] = {}
        for place, lane in enumerate(lanes):
            places.setdefault((lane.queue, lane.priority), []).append(place)
        self._taken_in = {each for each, its_places in places.items() if len(its_places) > 1}
        ordered = list(lanes)
        for each in self._taken_in:
            its_places = places[each]
            by_turn = sorted([(self._served.get(lanes[place].key, 0), place) for place in its_places])
            for place, (_, taken_by) in zip(its_places, by_turn, strict=True):
                ordered[place] = lanes[taken_by]
        return ordered

    def note(self, claimed: Iterable[Claimable], priority: int) -> None:
        """Note of which lanes these functions are: these have been served."""
        for each in claimed:
            if (each.queue, priority) in self._taken_in:
                key = each.queue, priority, each.tenant
                self._served.pop(key, None)  # so that the first of all is the one that was served longest ago
                self._served[key] = next(self._next)
        while len(self._served) > MOST_SERVED:
            del self._served[next(iter(self._served))]


def by_turns(claimed: list[Claimable], lanes: Sequence[Lane]) -> list[Claimable]:
    """Return what was claimed so that first each of the lanes gives one, then each of them another one, and so on.

    ``lanes``: in the order in which to serve them. What was claimed is in the order of due times, and stays so if there
    are no tenants. Otherwise the one with the longest backlog would come first in each group, and a group that
    ends before all its members had their time would have served that one only.
    """
    if not any(each.tenant for each in claimed):
        return claimed
    positions = {(lane.queue, lane.tenant): position for position, lane in enumerate(lanes)}
    given: Counter[tuple[str, str]] = Counter()

    def place(each: Claimable) -> tuple[int, int]:
        key = each.queue, each.tenant
        given[key] += 1
        return given[key], positions[key]

    return sorted(claimed, key=place)
