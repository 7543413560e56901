"""A model of how functions that share a limit get their slots, small enough that every order of its steps can be tried.

There is one key. Each step is a transaction, or what happens in Python between two of them. A statement that reads and
then locks is two steps: between what it has seen and what it locks, others commit.

Left out on purpose: other keys, and times. Any due function may be claimed at any time, as with any queues and
priorities, and a watcher may look at any time.
"""

from collections.abc import Iterator

from tests.limits.protocol_state import (
    ABANDONED,
    CLAIMED,
    DONE,
    HOLDING,
    IDEMPOTENT,
    IDLE,
    IN_PROGRESS,
    LOOKED,
    MUTATION,
    PENDING,
    REFUSED,
    RETURNED,
    RUNNING,
    Executor,
    Seen,
    Slot,
    State,
)

#: A label, and the state after the step.
Step = tuple[str, State]


class Protocol:
    """What executors do. Subclasses leave something out."""

    def is_busy(self, state: State, slot: Slot) -> bool:
        """Return whether the slot is taken, as far as rows say. Nobody sees locks."""
        return _is(state, slot, IN_PROGRESS) or self.is_kept(state, slot)

    def is_kept(self, state: State, slot: Slot) -> bool:
        """Return whether a body may go on of which the record says that it has ended."""
        is_on_record = slot.executor is not None and state.executors[slot.executor].is_on_record
        return is_on_record and _is(state, slot, ABANDONED)

    def is_as_seen(self, slot: Slot, row: int, taken: int) -> bool:
        """Return whether nobody has taken the slot since it was seen: asked of the newest version, by who locks it."""
        return slot.row == row and slot.taken == taken

    def progress(self, state: State) -> Iterator[Step]:
        """Go through the steps of executors that come, sooner or later, if nothing happens to them."""
        for number, executor in enumerate(state.executors):
            if executor.is_alive:
                yield from self.work(state, number, executor)
                if not executor.is_on_record:
                    yield f"{number} is on record again", state.executor(number, is_on_record=True)
            elif self.has_left_something(state, number):
                yield f"{number} is found dead", self.taken_for_gone(state, number)
        yield from self.watch(state)

    def has_left_something(self, state: State, number: int) -> bool:
        """Return whether an executor is left that can find what this one, which is dead, has left on record."""
        left = any(each.executor == number and _is(state, each, IN_PROGRESS) for each in state.slots)
        return (left or state.executors[number].is_on_record) and any(each.is_alive for each in state.executors)

    def work(self, state: State, number: int, executor: Executor) -> Iterator[Step]:
        """Go through what the worker of an executor may do next."""
        claimed = executor.claimed
        is_mutation = bool(claimed) and state.functions[claimed[0]].kind == MUTATION
        if executor.at == IDLE:
            for group in self.due(state):
                after = state.executor(number, at=CLAIMED, claimed=group)
                for each in group:
                    after = after.function(each, locked_by=number)
                yield f"{number} claims {group}", after
        elif executor.at == CLAIMED:
            yield f"{number} looks for a slot", self.look(state, number, claimed)
        elif executor.at == LOOKED:
            yield f"{number} locks a slot", self.lock(state, number, executor, is_mutation=is_mutation)
        elif executor.at == HOLDING:
            yield f"{number} begins", self.begin(state, number, claimed[0])
        elif executor.at == RUNNING and is_mutation:
            yield f"{number} commits", self.commit(state, number, executor)
        elif executor.at == RUNNING:
            yield f"{number} comes to the end of the body", state.executor(number, at=RETURNED)
        elif executor.at == RETURNED:
            yield f"{number} records the end", self.end(state, number, executor, DONE)
        elif executor.at == REFUSED:
            yield f"{number} has {claimed[0]} wait", self.wait(state, number, claimed[0])

    def due(self, state: State) -> Iterator[tuple[int, ...]]:
        """Go through what may be claimed together."""
        due = [
            number
            for number, each in enumerate(state.functions)
            if each.state == PENDING and not each.is_blocked and each.locked_by is None
        ]
        for index, number in enumerate(due):
            yield (number,)
            if state.functions[number].kind == MUTATION:
                yield from ((number, next) for next in due[index + 1 :] if state.functions[next].kind == MUTATION)

    def look(self, state: State, number: int, claimed: tuple[int, ...]) -> State:
        """Read the limit, the slots and the line."""
        free = self.free(state)
        refused = next(
            (each for each in claimed if not self.is_next(state, each, claimed)), None if free else claimed[0]
        )
        if refused is not None:
            return self.refuse(state, number, refused)
        beside = tuple(
            (index, each.claimed) for index, each in enumerate(state.executors) if self.has_action(state, each)
        )
        return state.executor(
            number, at=LOOKED, limit=state.limit, seen=free, others_wait=bool(state.waiting), beside=beside
        )

    def free(self, state: State) -> tuple[Seen, ...]:
        """Return the slots that no action has, but as many less as actions have slots beyond the limit."""
        free = tuple(
            (index, slot.row, slot.taken)
            for index, slot in enumerate(state.slots[: state.limit])
            if not self.is_busy(state, slot)
        )
        return free[: max(len(free) - self.beyond(state), 0)]

    def has_action(self, state: State, executor: Executor) -> bool:
        """Return whether a body runs of which others can know."""
        return executor.at == RUNNING and state.functions[executor.claimed[0]].kind != MUTATION

    def beyond(self, state: State) -> int:
        """Return how many slots actions have that the limit does not allow any more. They count until they are free."""
        return sum(self.is_busy(state, each) for each in state.slots[state.limit :])

    def is_next(self, state: State, function: int, claimed: tuple[int, ...]) -> bool:
        """Return whether it is the function's turn, which is asked where a limit is one."""
        earlier = enumerate(state.functions[:function])
        return state.limit != 1 or not any(
            each.state == PENDING and each.is_in_line and number not in claimed for number, each in earlier
        )

    def refuse(self, state: State, number: int, function: int) -> State:
        """Keep what was claimed, and have one of it wait."""
        return state.executor(number, at=REFUSED, claimed=(function,), seen=(), limit=0, beside=())

    def lock(self, state: State, number: int, executor: Executor, *, is_mutation: bool) -> State:
        """Lock the first slot that is as it was seen and not locked. The body of a mutation begins at once."""
        for index, row, taken in executor.seen:
            slot = state.slots[index]
            if slot.locked_by is None and self.is_as_seen(slot, row, taken):
                at = RUNNING if is_mutation else HOLDING
                return state.slot(index, locked_by=number).executor(number, at=at, seen=())
        return self.refuse(state, number, executor.claimed[0])

    def begin(self, state: State, number: int, function: int) -> State:
        """Commit that an action is in progress and has the slot."""
        attempt = state.functions[function].attempts + 1
        index, slot = next((index, each) for index, each in enumerate(state.slots) if each.locked_by == number)
        after = state.function(function, state=IN_PROGRESS, attempts=attempt, is_in_line=False)
        after = after.slot(index, taken=slot.taken + 1, function=function, attempt=attempt, executor=number)
        return after.without_locks_of(number).executor(number, at=RUNNING, attempt=attempt)

    def commit(self, state: State, number: int, executor: Executor) -> State:
        """Commit what mutations have done, if their transaction still is there, and let the next one in."""
        after = state
        if state.functions[executor.claimed[0]].locked_by == number:
            for each in executor.claimed:
                after = after.function(each, state=DONE, is_in_line=False)
            after = self.let_in(after, int(executor.others_wait))
        return after.without_locks_of(number).idle(number)

    def end(self, state: State, number: int, executor: Executor, outcome: str) -> State:
        """Record the end of an action, or only that its body has ended if somebody has decided meanwhile."""
        function = executor.claimed[0]
        row = state.functions[function]
        after = state
        is_mine = row.state == IN_PROGRESS and row.attempts == executor.attempt
        if is_mine:
            after = after.function(function, state=outcome, is_moved=row.is_moved or outcome == PENDING)
        if not is_mine or outcome != DONE:
            after = self.give_back(after, number, executor)
        return self.let_in(after, int(executor.others_wait)).idle(number)

    def give_back(self, state: State, number: int, executor: Executor) -> State:
        """Free the slot of a body that has ended, where the function's state does not say so."""
        for index, slot in enumerate(state.slots):
            if (slot.function, slot.attempt, slot.executor) == (executor.claimed[0], executor.attempt, number):
                state = state.slot(index, function=None)
        return state

    def wait(self, state: State, number: int, function: int) -> State:
        """Commit that a function waits. What else was claimed is claimed again."""
        return state.function(function, is_blocked=True, is_in_line=True).without_locks_of(number).idle(number)

    def let_in(self, state: State, number: int) -> State:
        for function in state.waiting[:number]:
            state = state.function(function, is_blocked=False)
        return state

    def watch(self, state: State) -> Iterator[Step]:
        """Let in as many as there are slots."""
        free = [each for each in self.free(state) if state.slots[each[0]].locked_by is None]
        if free and state.waiting and any(each.is_alive for each in state.executors):
            yield "a watcher lets in", self.let_in(state, len(free))

    def taken_for_gone(self, state: State, number: int) -> State:
        """Delete the row of an executor and record its actions as lost, or have them repeated, in one transaction."""
        after = state.executor(number, is_on_record=False)
        for slot in state.slots:
            if slot.executor == number and _is(state, slot, IN_PROGRESS):
                assert slot.function is not None
                is_repeated = state.functions[slot.function].kind == IDEMPOTENT
                after = after.function(slot.function, state=PENDING if is_repeated else ABANDONED, is_moved=True)
        return after

    def mishaps(self, state: State) -> Iterator[Step]:
        """Go through what nobody can rely on, and what may happen only so often."""
        if state.waiting:
            yield "a watcher that has looked long ago lets in", self.let_in(state, 1)
        for mishap in dict.fromkeys(state.mishaps):
            name, _, value = mishap.partition(" ")
            for label, after in getattr(self, name)(state, *filter(None, [value])):
                yield label, after.after_mishap(mishap)
        if state.idle_slots:
            yield "retention deletes", self.delete_idle_slots(state)

    def kill(self, state: State) -> Iterator[Step]:
        for number, executor in enumerate(state.executors):
            if executor.is_alive:
                after = state.without_locks_of(number).idle(number)
                yield f"{number} is killed", after.executor(number, is_alive=False)

    def doubt(self, state: State) -> Iterator[Step]:
        """Take a living executor for gone."""
        for number, executor in enumerate(state.executors):
            if executor.is_alive and executor.is_on_record:
                after = self.taken_for_gone(state, number).executor(number, is_excused=True)
                yield f"{number} is taken for gone", after

    def cancel(self, state: State) -> Iterator[Step]:
        """Cancel, or give up for its time. While a transaction has the row, this waits."""
        for number, function in enumerate(state.functions):
            if function.state in (PENDING, IN_PROGRESS) and function.locked_by is None:
                yield f"{number} is canceled", state.function(number, state=ABANDONED, is_blocked=False)

    def retry(self, state: State) -> Iterator[Step]:
        """Fail, and be tried again: a mutation after its rollback."""
        for number, executor in enumerate(state.executors):
            if executor.at == RETURNED:
                yield f"{number} fails and is tried again", self.end(state, number, executor, PENDING)
            elif executor.at == RUNNING and state.functions[executor.claimed[0]].kind == MUTATION:
                after = state.function(executor.claimed[-1], is_in_line=False, is_moved=True)
                yield f"{number} rolls back", after.without_locks_of(number).idle(number)

    def timeout(self, state: State) -> Iterator[Step]:
        """Record that the time of an action was up, once its body has ended."""
        for number, executor in enumerate(state.executors):
            if executor.at == RETURNED:
                yield f"{number} has taken too long", self.end(state, number, executor, ABANDONED)

    def limit(self, state: State, value: str) -> Iterator[Step]:
        yield f"the limit becomes {value}", state._replace(limit=int(value))

    def sweep(self, state: State) -> Iterator[Step]:
        """Look for slots that nobody uses."""
        idle = tuple((n, each.row, each.taken) for n, each in enumerate(state.slots) if not self.is_busy(state, each))
        if idle:
            yield "retention looks", state._replace(idle_slots=idle)

    def delete_idle_slots(self, state: State) -> State:
        """Delete what is as it was seen. Who needs the slot inserts it again."""
        after = state._replace(idle_slots=())
        for number, row, taken in state.idle_slots:
            if state.slots[number].locked_by is None and self.is_as_seen(state.slots[number], row, taken):
                after = after._replace(slots=(*after.slots[:number], Slot(row + 1), *after.slots[number + 1 :]))
        return after

    def problems(self, before: State, after: State) -> Iterator[str]:
        """Say what of a body that begins with this step must not be."""
        for number, (was, executor) in enumerate(zip(before.executors, after.executors, strict=True)):
            if executor.at == RUNNING != was.at and not executor.is_excused:
                bodies = [each for each in after.executors if each.at == RUNNING and not each.is_excused]
                if len(bodies) > max(each.limit for each in bodies):
                    yield f"{len(bodies)} bodies, and the limit is {executor.limit}"
                seen = [index for index, claimed in was.beside if _is_running(before.executors[index], claimed)]
                if len(seen) >= executor.limit:
                    yield f"{number} begins beside {seen}, which it could have seen, and the limit is {executor.limit}"
                for earlier in _passed_over(after, executor):
                    yield f"{number} passes over {earlier}"


def _is_running(executor: Executor, claimed: tuple[int, ...]) -> bool:
    """Return whether a body that was running still is."""
    return executor.at == RUNNING and executor.claimed == claimed and not executor.is_excused


def _passed_over(state: State, executor: Executor) -> list[int]:
    """Return what should have begun before a body that begins under a limit of one."""
    begun = {each for other in state.executors if other.at == RUNNING for each in other.claimed}
    return [
        number
        for number, each in enumerate(state.functions[: max(executor.claimed)])
        if executor.limit == 1 and each.state == PENDING and not each.is_moved and number not in begun
    ]


def _is(state: State, slot: Slot, function_state: str) -> bool:
    """Return whether the attempt that has taken the slot is the function's last one, and in this state."""
    if slot.function is None:
        return False
    function = state.functions[slot.function]
    return function.state == function_state and function.attempts == slot.attempt
