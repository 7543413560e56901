"""The protocol of rate limits holds in every order of its steps, and without any of its parts it does not."""

from collections.abc import Iterator
from itertools import combinations_with_replacement

import pytest

from tests.limits.explorer import Violation, explore
from tests.limits.rate_model import RateProtocol, Step
from tests.limits.rate_state import PENDING, PER, READY, RUNNING, WINDOW, Executor, Held, Slot, Start, State, start
from tests.support.soak import IS_SOAK

MISHAPS = ["kill", "cancel", "retry"]


@pytest.mark.parametrize(
    "kinds",
    [
        "aa",
        "mm",
        "ss",
        "am",
        pytest.param("aaa", marks=pytest.mark.thorough),
        *(["mmm", "mas", "iam"] if IS_SOAK else []),
    ],
)
def test_one_start_within_a_period(kinds):
    assert explore(RateProtocol(), start(1, kinds)) > 1000


@pytest.mark.parametrize("kinds", ["mm", *(["aaa", "amm", "mmm", "sas"] if IS_SOAK else [])])
def test_two_starts_within_a_period(kinds):
    assert explore(RateProtocol(), start(2, kinds)) > 1000


@pytest.mark.parametrize("kinds", ["m", *(["aa", "mm", "ss", "am"] if IS_SOAK else [])])
def test_starts_of_three_executors(kinds):
    assert explore(RateProtocol(), start(1, kinds, executors=3)) > 50


@pytest.mark.parametrize("kinds", ["mi", *(["aa", "mm", "ss", "sa"] if IS_SOAK else [])])
@pytest.mark.parametrize("mishap", [*MISHAPS, *(["sweep"] if IS_SOAK else [])])
def test_mishap(kinds, mishap):
    assert explore(RateProtocol(), start(1, kinds, mishaps=[mishap])) > 1000


@pytest.mark.parametrize("kinds", ["m", *(["mi", "mm", "ss"] if IS_SOAK else [])])
@pytest.mark.parametrize("mishaps", list(combinations_with_replacement([*MISHAPS, "sweep"], 2)), ids=" and ".join)
def test_two_mishaps(kinds, mishaps):
    assert explore(RateProtocol(), start(1, kinds, mishaps=mishaps)) > 30


@pytest.mark.thorough
@pytest.mark.parametrize("kinds", ["am", *(["aa", "mm", "ss"] if IS_SOAK else [])])
@pytest.mark.parametrize("limits", [(1, 0, 1), *([(1, 2, 1), (2, 1, 2), (2, 0, 1)] if IS_SOAK else [])], ids=str)
def test_limit_that_changes(kinds, limits):
    first, *later = limits
    mishaps = [f"limit {each}" for each in later]
    assert explore(RateProtocol(), start(first, kinds, slots=max(limits), mishaps=mishaps)) > 1000


@pytest.mark.thorough
def test_limit_that_becomes_lower():
    mishaps = ["limit 1", *(["kill"] if IS_SOAK else [])]
    assert explore(RateProtocol(), start(2, "aa", mishaps=mishaps)) > 1000


# What the protocol consists of, left out one by one.


class WithoutComparison(RateProtocol):
    """Who has seen a slot free takes it, whoever has taken it since."""

    def lock(self, state: State, number: int, executor: Executor) -> State:
        return super().lock(state, number, _that_has_seen_what_is(executor, state))


def _that_has_seen_what_is(executor: Executor, state: State) -> Executor:
    seen = tuple([(number, state.slots[number].row, state.slots[number].taken) for number, *_ in executor.seen])
    return executor._replace(seen=seen)


class WithoutComparisonWhenRenewing(RateProtocol):
    """Who is late takes its slot once more, though another one has taken it."""

    def renew(self, state: State, number: int, executor: Executor) -> State:
        held = executor.held[executor.begun]
        slot = state.slots[held.number]
        return self.renewed(state, number, executor, held._replace(row=slot.row, taken=slot.taken))


class WithoutCountingRenewals(RateProtocol):
    """A slot that is renewed looks as before to who has seen it free."""

    def renewed(self, state: State, number: int, executor: Executor, held: Held) -> State:
        renewed = (*executor.held[: executor.begun], held._replace(age=0), *executor.held[executor.begun + 1 :])
        return state.slot(held.number, age=0).executor(number, held=renewed)


class WithoutRenewal(RateProtocol):
    """Who has taken a slot begins, however late."""

    def is_in_time(self, held: Held) -> bool:
        return True


class WithoutDelayInTheWindow(RateProtocol):
    """A slot is free after the period, though a body begins later than its slot was taken."""

    window = PER


class WithSlotsOfTheBodysTransaction(RateProtocol):
    """What a mutation takes is rolled back with it."""

    def take(self, state: State, number: int, executor: Executor) -> State:
        after = super().take(state, number, executor)
        for held in executor.held:
            after = after._replace(
                slots=(*after.slots[: held.number], state.slots[held.number], *after.slots[held.number + 1 :])
            )
        return after

    def end(self, state: State, number: int, executor: Executor) -> State:
        for index, slot in enumerate(state.slots):
            if slot.locked_by == number:
                state = state.slot(index, taken=slot.taken + 1, age=0)
        return super().end(state, number, executor)


class WithRenewalsOfTheBodysTransaction(RateProtocol):
    """That a slot is taken once more is rolled back with the body."""

    def renewed(self, state: State, number: int, executor: Executor, held: Held) -> State:
        renewed = (*executor.held[: executor.begun], held._replace(age=0), *executor.held[executor.begun + 1 :])
        return state.slot(held.number, locked_by=number).executor(number, held=renewed)

    def end(self, state: State, number: int, executor: Executor) -> State:
        for index, slot in enumerate(state.slots):
            if slot.locked_by == number:
                state = state.slot(index, taken=slot.taken + 1, age=0)
        return super().end(state, number, executor)


class WithASlotForAllAttempts(RateProtocol):
    """What is tried again does not take a slot again."""

    def retry(self, state: State) -> Iterator[Step]:
        for number, executor in enumerate(state.executors):
            if executor.at == RUNNING and state.functions[executor.claimed[0]].state == PENDING:
                held = tuple(Held(index, slot.row, slot.taken, 0) for index, slot in enumerate(state.slots))
                again = {"held": held, "begun": 0, "limit": state.limit}
                yield f"{number} begins again", state.executor(number, at=READY, **again)


class WithoutSlotsBeyondTheLimit(RateProtocol):
    """Only slots that the limit allows are looked at."""

    def beyond(self, state: State) -> int:
        return 0


class WithoutGivingBack(RateProtocol):
    """The slots of those that do not begin stay in use."""

    def give_back(self, state: State, executor: Executor) -> State:
        return state


class WithoutComparisonWhenGivingBack(RateProtocol):
    """A slot is given back that another one has taken since."""

    def give_back(self, state: State, executor: Executor) -> State:
        for held in executor.held[executor.begun :]:
            state = state.slot(held.number, taken=state.slots[held.number].taken + 1, age=WINDOW)
        return state.counted_anew()


class WithoutWatch(RateProtocol):
    """Nobody lets in what waits."""

    def watch(self, state: State) -> Iterator[Step]:
        yield from ()


class WithoutComparisonWhenDeleting(RateProtocol):
    """A slot is deleted that was taken after retention has looked."""

    def delete_idle_slots(self, state: State) -> State:
        now = tuple((number, state.slots[number].row, state.slots[number].taken) for number, *_ in state.idle_slots)
        return super().delete_idle_slots(state._replace(idle_slots=now))


class WithSlotsThatAreDeletedTooSoon(RateProtocol):
    """Retention takes a slot for idle that is not locked."""

    def sweep(self, state: State) -> Iterator[Step]:
        idle = tuple((number, each.row, each.taken) for number, each in enumerate(state.slots))
        yield "retention looks", state._replace(idle_slots=idle)


class WithoutComparisonOfRows(RateProtocol):
    """A row of a slot that was deleted and inserted is taken for the same."""

    def is_as_seen(self, slot: Slot, row: int, taken: int) -> bool:
        return slot.taken == taken


def after_a_start_beyond_the_limit() -> State:
    """A body has begun in the second slot, and then the limit was lowered."""
    return start(1, "a", slots=2).slot(1, taken=1, age=0)._replace(starts=(Start(0, 2),))


@pytest.mark.parametrize(
    ("protocol", "first", "found"),
    [
        (WithoutComparison, start(1, "aa"), "2 starts"),
        (WithoutComparisonWhenRenewing, start(1, "aa"), "2 starts"),
        (WithoutCountingRenewals, start(1, "aa"), "2 starts"),
        (WithoutRenewal, start(1, "aa"), "2 starts"),
        (WithoutDelayInTheWindow, start(1, "aa"), "2 starts"),
        (WithSlotsOfTheBodysTransaction, start(1, "mm", mishaps=["retry"]), "2 starts"),
        (WithRenewalsOfTheBodysTransaction, start(1, "mm", mishaps=["retry"]), "2 starts"),
        (WithASlotForAllAttempts, start(1, "m", mishaps=["retry"]), "2 starts"),
        (WithoutSlotsBeyondTheLimit, after_a_start_beyond_the_limit(), "besides 1 that it has seen"),
        (WithoutGivingBack, start(2, "mm"), "for nobody"),
        pytest.param(WithoutComparisonWhenGivingBack, start(1, "sss"), "2 starts", marks=pytest.mark.thorough),
        (WithoutWatch, start(1, "aa"), "never ends"),
        (WithoutComparisonWhenDeleting, start(1, "aa", mishaps=["sweep"]), "2 starts"),
        (WithSlotsThatAreDeletedTooSoon, start(1, "aa", mishaps=["sweep"]), "2 starts"),
        (WithoutComparisonOfRows, start(1, "aa", mishaps=["sweep"]), "2 starts"),
    ],
)
def test_nothing_can_be_left_out(protocol, first, found):
    with pytest.raises(Violation, match=found):
        explore(protocol(), first)
    if IS_SOAK:
        explore(RateProtocol(), first)
