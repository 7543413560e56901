"""Tries every order of steps from a state, and says which one leads where nobody wants to be."""

from collections import deque
from collections.abc import Hashable, Iterator
from typing import Protocol as Interface
from typing import TypeVar


class Explored(Hashable, Interface):
    """Is a state of what is tried."""

    @property
    def is_over(self) -> bool:
        """Return whether everything has come to its end."""
        ...

    @property
    def has_to_end(self) -> bool:
        """Return whether everything has to come to its end, sooner or later."""
        ...


S = TypeVar("S", bound=Explored)


class Tried(Interface[S]):
    """Is what is tried."""

    def progress(self, state: S, /) -> Iterator[tuple[str, S]]:
        """Go through the steps that come, sooner or later, if nothing happens."""
        ...

    def mishaps(self, state: S, /) -> Iterator[tuple[str, S]]:
        """Go through the steps that may come or not."""
        ...

    def problems(self, before: S, after: S, /) -> Iterator[str]:
        """Say what must not be after this step."""
        ...


class Violation(Exception):
    """What does not hold, and the steps that lead there."""


def explore(protocol: Tried[S], first: S) -> int:
    """Go through all states that can be reached; how many there are. Raises ``Violation``, after the fewest steps."""
    came_from: dict[S, tuple[str, S] | None] = {first: None}
    leads_to: dict[S, list[S]] = {}
    ahead = deque([first])
    while ahead:
        state = ahead.popleft()
        for is_progress, steps in ((True, protocol.progress(state)), (False, protocol.mishaps(state))):
            for label, after in steps:
                if is_progress:
                    leads_to.setdefault(after, []).append(state)
                if after not in came_from:
                    came_from[after] = label, state
                    ahead.append(after)
                for problem in protocol.problems(state, after):
                    raise Violation("\n".join([*way(came_from, state), label, problem]))
    for state in stuck(came_from, leads_to):
        raise Violation("\n".join([*way(came_from, state), f"it never ends: {state}"]))
    return len(came_from)


def way(came_from: dict[S, tuple[str, S] | None], state: S) -> list[str]:
    """Return the labels of the steps to a state."""
    labels = []
    while (step := came_from[state]) is not None:
        label, state = step
        labels.append(label)
    return labels[::-1]


def stuck(came_from: dict[S, tuple[str, S] | None], leads_to: dict[S, list[S]]) -> Iterator[S]:
    """Go through the states from which not everything can come to an end, though an executor lives."""
    ends = {state for state in came_from if state.is_over}
    ahead = list(ends)
    while ahead:
        for state in leads_to.get(ahead.pop(), ()):
            if state not in ends:
                ends.add(state)
                ahead.append(state)
    for state in came_from:
        if state not in ends and state.has_to_end:
            yield state
