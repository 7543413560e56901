"""The state of a model of the protocol of rate limits: rows, and what workers are about to do (``rate_model.py``)."""

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

#: ``CLAIMED_TWICE``: a mutation where the database has one writer, so a transaction of its own takes the slot first.
MUTATION, CLAIMED_TWICE, ACTION, IDEMPOTENT = "mutation", "claimed twice", "action", "idempotent action"

#: States of a function. ``ABANDONED`` is canceled or lost: its body may go on all the same.
PENDING, IN_PROGRESS, DONE, ABANDONED = "pending", "in progress", "done", "abandoned"

#: What the worker of an executor is about to do: claim; look for slots; lock and take them; commit that; claim once
#: more, by its id; begin the next body, or renew its slot; look for another slot; end the body; have functions wait.
IDLE, CLAIMED, LOOKED, TAKEN, HIDING, READY, TOO_LATE, RUNNING, REFUSED = range(9)

#: How long the period is, how long after it has taken a slot a body begins at most, and how long a slot is in use, in
#: ticks.
PER, DELAY = 2, 1
WINDOW = PER + DELAY


class Function(NamedTuple):
    """A row of the record."""

    kind: str
    state: str = PENDING
    #: It is due when it is let in.
    waits: bool = False
    #: It is due a moment later.
    is_hidden: bool = False
    executor: int | None = None
    locked_by: int | None = None


class Slot(NamedTuple):
    #: Which row it is: one that was deleted comes back as another one.
    row: int = 0
    #: How often it was taken.
    taken: int = 0
    #: Since when, in ticks. It is free after the window; and at once, if it was given back.
    age: int = WINDOW
    locked_by: int | None = None


#: A slot that a statement has seen: its number, its row, how often it had been taken.
Seen = tuple[int, int, int]


class Held(NamedTuple):
    """A slot that was taken for a body, as far as its executor knows."""

    number: int
    row: int
    taken: int
    #: ``None``: it is locked, and that it is taken was not committed yet.
    age: int | None


class Start(NamedTuple):
    """A body that has begun within the last period."""

    age: int
    #: What the limit was when it looked for a slot.
    limit: int


class Executor(NamedTuple):
    """A process with one worker."""

    is_alive: bool = True
    at: int = IDLE
    #: What the worker has claimed: one action, or mutations that share a transaction.
    claimed: tuple[int, ...] = ()
    #: What was claimed with these, and found no slot: it waits from the end of the transaction on.
    refused: tuple[int, ...] = ()
    #: How many of these bodies have begun.
    begun: int = 0
    held: tuple[Held, ...] = ()
    # What its last look has found: the limit, free slots, how long ago that was, and starts within the last period.
    limit: int = 0
    seen: tuple[Seen, ...] = ()
    look_age: int = 0
    beside: tuple[Start, ...] = ()


Lockable = TypeVar("Lockable", Function, Slot)


class State(NamedTuple):
    limit: int
    functions: tuple[Function, ...]
    slots: tuple[Slot, ...]
    executors: tuple[Executor, ...]
    starts: tuple[Start, ...] = ()
    #: What may still happen.
    mishaps: tuple[str, ...] = ()
    #: What retention has seen and is about to delete.
    idle_slots: tuple[Seen, ...] = ()

    def function(self, number: int, **changes: Any) -> "State":
        functions = list(self.functions)
        functions[number] = functions[number]._replace(**changes)
        return self._replace(functions=tuple(functions))

    def slot(self, number: int, **changes: Any) -> "State":
        slots = list(self.slots)
        slots[number] = slots[number]._replace(**changes)
        return self._replace(slots=tuple(slots))

    def executor(self, number: int, **changes: Any) -> "State":
        executors = list(self.executors)
        executors[number] = executors[number]._replace(**changes)
        return self._replace(executors=tuple(executors))

    def unlocked(self, executor: int) -> "State":
        """Return the state after the end of a transaction."""
        return self._replace(
            functions=tuple([_unlocked(each, executor) for each in self.functions]),
            slots=tuple([_unlocked(each, executor) for each in self.slots]),
        )

    def idle(self, executor: int) -> "State":
        """Return the state in which the worker has come to the end of something, and of its transaction."""
        after = self.unlocked(executor)
        executors = list(after.executors)
        executors[executor] = Executor(executors[executor].is_alive)
        return after._replace(executors=tuple(executors))

    def after_mishap(self, mishap: str) -> "State":
        index = self.mishaps.index(mishap)
        return self._replace(mishaps=self.mishaps[:index] + self.mishaps[index + 1 :])

    def a_tick_later(self) -> "State":
        """Return the state in which nothing has happened but that time has passed."""
        return self._replace(
            slots=tuple([each._replace(age=min(each.age + 1, WINDOW)) for each in self.slots]),
            executors=tuple([_older(each) for each in self.executors]),
            starts=_later(self.starts),
        )

    def counted_anew(self) -> "State":
        """Return the same state with small counters, so that there are few states: only what they equal matters."""
        after = self
        for number, slot in enumerate(self.slots):
            those = [
                (each.row, each.taken) for executor in self.executors for each in executor.held if each[0] == number
            ]
            those += [each[1:] for executor in self.executors for each in executor.seen if each[0] == number]
            those += [each[1:] for each in self.idle_slots if each[0] == number]
            counters = sorted({slot.taken, *(taken for _, taken in those)})
            if counters[-1] >= len(counters):
                after = after._counted(number, {each: place for place, each in enumerate(counters)})
        return after

    def _counted(self, number: int, places: dict[int, int]) -> "State":
        def counted(seen: Seen) -> Seen:
            return (*seen[:2], places[seen[2]]) if seen[0] == number else seen

        return self.slot(number, taken=places[self.slots[number].taken])._replace(
            idle_slots=tuple(map(counted, self.idle_slots)),
            executors=tuple(
                [
                    each._replace(
                        seen=tuple(map(counted, each.seen)),
                        held=tuple([Held(*counted(held[:3]), held.age) for held in each.held]),
                    )
                    for each in self.executors
                ]
            ),
        )

    @property
    def waiting(self) -> list[int]:
        """Return those that could be let in, the first one first."""
        return [
            number
            for number, each in enumerate(self.functions)
            if each.waits and each.state == PENDING and each.locked_by is None
        ]

    @property
    def is_over(self) -> bool:
        return all(each.state in (DONE, ABANDONED) for each in self.functions)

    @property
    def has_to_end(self) -> bool:
        return bool(self.limit) and any(each.is_alive for each in self.executors)


def start(
    limit: int, kinds: str, *, executors: int = 2, slots: int | None = None, mishaps: Iterable[str] = ()
) -> State:
    """Return a first state; ``kinds``: for each function "m", "s", "a" or "i"; ``slots``: how many there may be."""
    kind = {"m": MUTATION, "s": CLAIMED_TWICE, "a": ACTION, "i": IDEMPOTENT}
    return State(
        limit=limit,
        functions=tuple(Function(kind[each]) for each in kinds),
        slots=(Slot(),) * (slots or limit),
        executors=(Executor(),) * executors,
        mishaps=tuple(sorted(mishaps)),
    )


def _older(executor: Executor) -> Executor:
    if executor.at in (IDLE, REFUSED):
        return executor
    return executor._replace(
        look_age=min(executor.look_age + 1, WINDOW) if executor.at in (LOOKED, TAKEN) else 0,
        held=tuple(
            [each._replace(age=None if each.age is None else min(each.age + 1, DELAY + 1)) for each in executor.held]
        ),
        beside=_later(executor.beside),
    )


def _later(starts: tuple[Start, ...]) -> tuple[Start, ...]:
    return tuple([each._replace(age=each.age + 1) for each in starts if each.age + 1 < PER])


def _unlocked(row: Lockable, executor: int) -> Lockable:
    return row._replace(locked_by=None) if row.locked_by == executor else row
