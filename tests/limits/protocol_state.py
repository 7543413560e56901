"""The state of a model of the protocol of limits: rows, and what workers are about to do (``protocol_model.py``)."""

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

MUTATION, ACTION, IDEMPOTENT = "mutation", "action", "idempotent action"

#: States of a function. ``ABANDONED`` is canceled, out of time, or lost: its body may go on all the same.
PENDING, IN_PROGRESS, DONE, ABANDONED = "pending", "in progress", "done", "abandoned"

#: What the worker of an executor is about to do: claim; look for a slot; lock it; begin an action; come to the end of a
#: body; record the end of an action; have a function wait.
IDLE, CLAIMED, LOOKED, HOLDING, RUNNING, RETURNED, REFUSED = range(7)


class Function(NamedTuple):
    """A row of the record. Its place in the order of due times is its place in ``State.functions``."""

    kind: str
    state: str = PENDING
    attempts: int = 0
    #: It is due when it is let in.
    is_blocked: bool = False
    #: Functions after it may see that they are not the next ones.
    is_in_line: bool = True
    #: It is due at another time than in the beginning, because it is tried again.
    is_moved: bool = False
    locked_by: int | None = None


class Slot(NamedTuple):
    #: Which row it is: one that was deleted comes back as another one.
    row: int = 0
    #: How many actions have taken it.
    taken: int = 0
    function: int | None = None
    attempt: int = 0
    executor: int | None = None
    locked_by: int | None = None


#: A slot that a statement has seen: its number, its row, how often it had been taken.
Seen = tuple[int, int, int]


class Executor(NamedTuple):
    """A process with one worker, and its row."""

    is_alive: bool = True
    is_on_record: bool = True
    #: It has been taken for gone.
    is_excused: bool = False
    at: int = IDLE
    #: What the worker has claimed: one action, or mutations that share a transaction.
    claimed: tuple[int, ...] = ()
    attempt: int = 0
    limit: int = 0
    seen: tuple[Seen, ...] = ()
    others_wait: bool = False
    #: Whose actions were in progress then.
    beside: tuple[tuple[int, tuple[int, ...]], ...] = ()


Lockable = TypeVar("Lockable", Function, Slot)
Row = TypeVar("Row", Function, Slot, Executor)


class State(NamedTuple):
    limit: int
    functions: tuple[Function, ...]
    slots: tuple[Slot, ...]
    executors: tuple[Executor, ...]
    #: What may still happen.
    mishaps: tuple[str, ...] = ()
    #: What retention has seen and is about to delete.
    idle_slots: tuple[Seen, ...] = ()

    def function(self, number: int, **changes: Any) -> "State":
        return self._replace(functions=_changed(self.functions, number, changes))

    def slot(self, number: int, **changes: Any) -> "State":
        return self._replace(slots=_changed(self.slots, number, changes))

    def executor(self, number: int, **changes: Any) -> "State":
        return self._replace(executors=_changed(self.executors, number, changes))

    def without_locks_of(self, executor: int) -> "State":
        """Return the state after the end of a transaction."""
        return self._replace(
            functions=tuple([_unlocked(each, executor) for each in self.functions]),
            slots=tuple([_unlocked(each, executor) for each in self.slots]),
        )

    def idle(self, executor: int) -> "State":
        """Return the state in which the worker has come to the end of something."""
        before = self.executors[executor]
        after = Executor(before.is_alive, before.is_on_record, not before.is_on_record)
        return self._replace(executors=(*self.executors[:executor], after, *self.executors[executor + 1 :]))

    def after_mishap(self, mishap: str) -> "State":
        index = self.mishaps.index(mishap)
        return self._replace(mishaps=self.mishaps[:index] + self.mishaps[index + 1 :])

    @property
    def waiting(self) -> list[int]:
        """Return those that could be let in, the first one first."""
        return [
            number
            for number, each in enumerate(self.functions)
            if each.is_blocked and each.state == PENDING and each.locked_by is None
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
    """Return a first state; ``kinds``: for each function "m", "a" or "i"; ``slots``: how many the limit may ever allow.

    Under a limit of one, functions stand in the line from the beginning.
    """
    kind = {"m": MUTATION, "a": ACTION, "i": IDEMPOTENT}
    return State(
        limit=limit,
        functions=tuple(Function(kind[each], is_in_line=limit == 1, is_moved=limit != 1) for each in kinds),
        slots=(Slot(),) * (slots or limit),
        executors=(Executor(),) * executors,
        mishaps=tuple(sorted(mishaps)),
    )


def _changed(rows: tuple[Row, ...], number: int, changes: dict[str, Any]) -> tuple[Row, ...]:
    changed = list(rows)
    changed[number] = changed[number]._replace(**changes)
    return tuple(changed)


def _unlocked(row: Lockable, executor: int) -> Lockable:
    return row._replace(locked_by=None) if row.locked_by == executor else row
