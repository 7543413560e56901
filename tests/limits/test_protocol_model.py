"""The protocol of limits holds in every order of its steps, and without any of its parts it does not."""

from collections.abc import Iterator
from itertools import combinations_with_replacement

import pytest

from tests.limits.explorer import Violation, explore
from tests.limits.protocol_model import Protocol, Step
from tests.limits.protocol_state import ABANDONED, RUNNING, Executor, Slot, State, start
from tests.support.soak import IS_SOAK

MISHAPS = ["kill", "cancel", "retry", "timeout", "doubt", "sweep"]


@pytest.mark.parametrize("kinds", ["aa", "mm", "ama", "mma", "aaa", "mama"])
def test_one_at_a_time_in_the_order_of_due_times(kinds):
    assert explore(Protocol(), start(1, kinds)) > 50


@pytest.mark.parametrize("kinds", ["mam", "mmm", *(["aaa", "aam", "mamm"] if IS_SOAK else [])])
def test_two_at_a_time(kinds):
    assert explore(Protocol(), start(2, kinds, executors=3)) > 1000


@pytest.mark.parametrize("kinds", ["am", *(["mm", "ia", "aia", "ami"] if IS_SOAK else [])])
@pytest.mark.parametrize("mishaps", list(combinations_with_replacement(MISHAPS, 2)), ids=" and ".join)
def test_two_mishaps(kinds, mishaps):
    assert explore(Protocol(), start(1, kinds, mishaps=mishaps)) > 50


@pytest.mark.parametrize("mishap", MISHAPS)
def test_action_that_may_be_repeated(mishap):
    assert explore(Protocol(), start(1, "ia", mishaps=["kill", mishap])) > 50


@pytest.mark.parametrize("mishap", [*MISHAPS, "limit 0", "limit 1"] if IS_SOAK else ["kill"])
@pytest.mark.parametrize("kinds", ["aam", "mmm", "iam"] if IS_SOAK else ["mmm"])
def test_mishap_of_one_of_three_executors(kinds, mishap):
    assert explore(Protocol(), start(2, kinds, executors=3, mishaps=[mishap])) > 1000


@pytest.mark.parametrize("kinds", ["aa", "am", "mm"])
@pytest.mark.parametrize("limits", [(1, 2, 1), (2, 1, 2), (1, 0, 1), (2, 0, 1)], ids=str)
def test_limit_that_changes(kinds, limits):
    first, *later = limits
    mishaps = [f"limit {each}" for each in later]
    assert explore(Protocol(), start(first, kinds, slots=2, mishaps=mishaps)) > 50


# What the protocol consists of, left out one by one.


class WithoutComparison(Protocol):
    """Who has seen a slot free locks it, whoever has taken it since."""

    def is_as_seen(self, slot: Slot, row: int, taken: int) -> bool:
        return True


class WithoutComparisonOfRows(Protocol):
    """A row of a slot that was deleted and inserted is taken for the same."""

    def is_as_seen(self, slot: Slot, row: int, taken: int) -> bool:
        return slot.taken == taken


class WithoutComparisonWhenDeleting(Protocol):
    def delete_idle_slots(self, state: State) -> State:
        return WithoutComparison().delete_idle_slots(state)


class WithSlotsFreedAtOnce(Protocol):
    """What the record says has ended has no slot, though its body may go on."""

    def is_kept(self, state: State, slot: Slot) -> bool:
        return False


class WithSlotsOfDeletedFunctions(Protocol):
    """The record of a function is deleted, and its body goes on."""

    def timeout(self, state: State) -> Iterator[Step]:
        for index, slot in enumerate(state.slots):
            if slot.function is not None and state.functions[slot.function].state == ABANDONED:
                yield f"{slot.function} is deleted", state.slot(index, function=None)


class WithSlotsKeptByThoseThatAreRepeated(Protocol):
    """The end of a body that is followed by another attempt leaves its slot as it is."""

    def give_back(self, state: State, number: int, executor: Executor) -> State:
        is_decided_by_others = state.functions[executor.claimed[0]].state == ABANDONED
        return super().give_back(state, number, executor) if is_decided_by_others else state


class WithSlotsKeptForever(Protocol):
    """A body of which the record says that it was canceled, or too slow, does not say when it ends."""

    def give_back(self, state: State, number: int, executor: Executor) -> State:
        return state


class WithoutWatcher(Protocol):
    """Only ends let others in."""

    def watch(self, state: State) -> Iterator[Step]:
        yield from ()


class WithoutWait(Protocol):
    """A mutation that is canceled loses its locks, and its body goes on."""

    def cancel(self, state: State) -> Iterator[Step]:
        yield from super().cancel(state)
        for number, function in enumerate(state.functions):
            holder = function.locked_by
            if holder is not None and state.executors[holder].at == RUNNING:
                after = state.function(number, state=ABANDONED).without_locks_of(holder)
                yield f"{number} is canceled, and {holder} is interrupted", after


class WithoutLine(Protocol):
    """Whoever finds a slot free begins."""

    def is_next(self, state: State, function: int, claimed: tuple[int, ...]) -> bool:
        return True


class WithoutSlotsBeyondTheLimit(Protocol):
    """Only slots that the limit allows are looked at."""

    def beyond(self, state: State) -> int:
        return 0


#: What is left out, where from, and what is found then.
LEFT_OUT: list[tuple[type[Protocol], State, str]] = [
    (WithoutComparison, start(1, "aa", mishaps=["retry"]), "2 bodies"),
    (WithoutComparisonOfRows, start(1, "aa", mishaps=["retry", "sweep"]), "2 bodies"),
    (WithoutComparisonWhenDeleting, start(1, "aa", mishaps=["sweep"]), "2 bodies"),
    (WithSlotsFreedAtOnce, start(1, "am", mishaps=["cancel"]), "2 bodies"),
    (WithSlotsOfDeletedFunctions, start(1, "am", mishaps=["cancel", "timeout"]), "2 bodies"),
    (WithoutWait, start(1, "ma", mishaps=["cancel"]), "2 bodies"),
    (WithoutLine, start(1, "am"), "passes over"),
    (WithoutSlotsBeyondTheLimit, start(2, "aaa", mishaps=["limit 1"]), "could have seen"),
    (WithoutWatcher, start(1, "am"), "never ends"),
    (WithSlotsKeptForever, start(1, "am", mishaps=["cancel"]), "never ends"),
    (WithSlotsKeptByThoseThatAreRepeated, start(1, "am", mishaps=["retry", "cancel"]), "never ends"),
    (WithSlotsKeptForever, start(1, "am", mishaps=["timeout"]), "never ends"),
]


@pytest.mark.parametrize(("protocol", "first", "found"), LEFT_OUT)
def test_nothing_can_be_left_out(protocol, first, found):
    with pytest.raises(Violation, match=found):
        explore(protocol(), first)


@pytest.mark.thorough
@pytest.mark.parametrize("first", dict.fromkeys(first for _, first, _ in LEFT_OUT))
def test_where_nothing_is_left_out_nothing_is_found(first):
    explore(Protocol(), first)
