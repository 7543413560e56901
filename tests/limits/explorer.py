"""Tries every order of steps from a state, and says which one leads where nobody wants to be."""

from collections import deque
from collections.abc import Iterator

from tests.limits.protocol_model import Protocol
from tests.limits.protocol_state import PENDING, RUNNING, Executor, State


class Violation(Exception):
    """What does not hold, and the steps that lead there."""


def explore(protocol: Protocol, first: State) -> int:
    """Go through all states that can be reached; how many there are. Raises ``Violation``, after the fewest steps."""
    came_from: dict[State, tuple[str, State] | None] = {first: None}
    leads_to: dict[State, list[State]] = {}
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
                for problem in problems(state, after):
                    raise Violation("\n".join([*way(came_from, state), label, problem]))
    for state in stuck(came_from, leads_to):
        raise Violation("\n".join([*way(came_from, state), f"it never ends: {state}"]))
    return len(came_from)


def way(came_from: dict[State, tuple[str, State] | None], state: State) -> list[str]:
    """Return the labels of the steps to a state."""
    labels = []
    while (step := came_from[state]) is not None:
        label, state = step
        labels.append(label)
    return labels[::-1]


def problems(before: State, after: State) -> Iterator[str]:
    """Say what of a body that begins with this step must not be."""
    for number, (was, executor) in enumerate(zip(before.executors, after.executors, strict=True)):
        if executor.at == RUNNING != was.at and not executor.is_excused:
            bodies = [each for each in after.executors if each.at == RUNNING and not each.is_excused]
            if len(bodies) > max(each.limit for each in bodies):
                yield f"{len(bodies)} bodies, and the limit is {executor.limit}"
            seen = [index for index, claimed in was.beside if is_running(before.executors[index], claimed)]
            if len(seen) >= executor.limit:
                yield f"{number} begins beside {seen}, which it could have seen, and the limit is {executor.limit}"
            for earlier in passed_over(after, executor):
                yield f"{number} passes over {earlier}"


def is_running(executor: Executor, claimed: tuple[int, ...]) -> bool:
    """Return whether a body that was running still is."""
    return executor.at == RUNNING and executor.claimed == claimed and not executor.is_excused


def passed_over(state: State, executor: Executor) -> list[int]:
    """Return what should have begun before a body that begins under a limit of one."""
    begun = {each for other in state.executors if other.at == RUNNING for each in other.claimed}
    return [
        number
        for number, each in enumerate(state.functions[: max(executor.claimed)])
        if executor.limit == 1 and each.state == PENDING and not each.is_moved and number not in begun
    ]


def stuck(came_from: dict[State, tuple[str, State] | None], leads_to: dict[State, list[State]]) -> Iterator[State]:
    """Go through the states from which not everything can come to an end, though an executor lives."""
    ends = {state for state in came_from if state.is_over}
    ahead = list(ends)
    while ahead:
        for state in leads_to.get(ahead.pop(), ()):
            if state not in ends:
                ends.add(state)
                ahead.append(state)
    for state in came_from:
        if state not in ends and state.limit and any(each.is_alive for each in state.executors):
            yield state
