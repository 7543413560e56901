"""A model of how starts that share a rate limit get their slots, small enough that every order of steps can be tried.

There is one key. Each step is a transaction, or what happens in Python between two of them; between any two of them
time may pass, in ticks. A statement that reads and then locks is two steps: between what it has seen and what it locks,
others commit. The time that it notes is that of its beginning.

Left out on purpose: other keys, and due times. Any due function may be claimed at any time, as with any queues and
priorities, and a watcher may look at any time.
"""

from collections.abc import Iterator

from tests.limits.rate_state import (
    ABANDONED,
    ACTION,
    CLAIMED,
    CLAIMED_TWICE,
    DELAY,
    DONE,
    HIDING,
    IDEMPOTENT,
    IDLE,
    IN_PROGRESS,
    LOOKED,
    MUTATION,
    PENDING,
    READY,
    REFUSED,
    RUNNING,
    TAKEN,
    TOO_LATE,
    WINDOW,
    Executor,
    Held,
    Seen,
    Slot,
    Start,
    State,
)

#: A label, and the state after the step.
Step = tuple[str, State]

ACTIONS = (ACTION, IDEMPOTENT)


class RateProtocol:
    """What executors do. Subclasses leave something out."""

    #: For how long a start has its slot.
    window = WINDOW

    def is_as_seen(self, slot: Slot, row: int, taken: int) -> bool:
        """Return whether nobody has taken the slot since: asked of the newest version, by who locks it."""
        return slot.row == row and slot.taken == taken

    def progress(self, state: State) -> Iterator[Step]:
        """Go through the steps of executors that come, sooner or later, if nothing happens to them."""
        for number, executor in enumerate(state.executors):
            if executor.is_alive:
                yield from self.work(state, number, executor)
        for number, function in enumerate(state.functions):
            if function.is_hidden and function.state == PENDING:
                yield f"{number} is due again", state.function(number, is_hidden=False)
            if function.executor is not None and not state.executors[function.executor].is_alive:
                yield f"the executor of {number} is found dead", self.taken_for_gone(state, number)
        yield from self.watch(state)
        yield "time passes", state.a_tick_later()

    def work(self, state: State, number: int, executor: Executor) -> Iterator[Step]:
        """Go through what the worker of an executor may do next."""
        claimed = executor.claimed
        if executor.at == IDLE:
            for group in self.due(state):
                after = state.executor(number, at=CLAIMED, claimed=group)
                for each in group:
                    after = after.function(each, locked_by=number)
                yield f"{number} claims {group}", after
        elif executor.at in (CLAIMED, TOO_LATE):
            yield f"{number} looks for slots", self.look(state, number, executor)
        elif executor.at == LOOKED:
            yield f"{number} locks slots", self.lock(state, number, executor)
        elif executor.at == TAKEN:
            yield f"{number} commits that it has slots", self.take(state, number, executor)
        elif executor.at == HIDING:
            yield f"{number} claims {claimed} by id", self.claim_by_id(state, number, executor)
        elif executor.at == READY:
            if self.is_in_time(executor.held[executor.begun]):
                yield f"{number} begins {claimed[executor.begun]}", self.begin(state, number, executor)
            elif state.functions[claimed[0]].kind == CLAIMED_TWICE:
                yield f"{number} is late and begins anew", self.give_back(state, executor).idle(number)
            elif state.slots[executor.held[executor.begun].number].locked_by in (None, number):
                yield f"{number} is late and renews", self.renew(state, number, executor)
        elif executor.at == RUNNING and executor.begun < len(claimed):
            yield f"{number} goes on with the next one", state.executor(number, at=READY)
            yield f"{number} gives back what it does not come to", self.leave_the_rest(state, number, executor)
        elif executor.at == RUNNING:
            yield f"{number} commits the end", self.end(state, number, executor)
        elif executor.at == REFUSED:
            yield f"{number} has {claimed} wait", self.wait(state, number, claimed)

    def due(self, state: State) -> Iterator[tuple[int, ...]]:
        """Go through what may be claimed together."""
        due: dict[str, list[int]] = {}
        for number, each in enumerate(state.functions):
            if each.state == PENDING and not each.waits and not each.is_hidden and each.locked_by is None:
                due.setdefault(each.kind, []).append(number)
        for kind, alike in due.items():  # which one of those that are alike makes no difference
            yield (alike[0],)
            if kind == MUTATION and len(alike) > 1:
                yield (alike[0], alike[1])

    def look(self, state: State, number: int, executor: Executor) -> State:
        """Read the limit and the slots. Who has begun, and is too late for its slot, looks until it finds another."""
        free = self.free(state)
        if not free:
            return state if executor.at == TOO_LATE else state.executor(number, at=REFUSED)
        return state.executor(number, at=LOOKED, limit=state.limit, seen=free, look_age=0, beside=state.starts)

    def free(self, state: State) -> tuple[Seen, ...]:
        """Return the slots that are free, but as many less as are in use beyond the limit."""
        in_use = sum(self.is_in_use(slot) for slot in state.slots[: state.limit])
        free = tuple(
            (number, slot.row, slot.taken)
            for number, slot in enumerate(state.slots[: state.limit])
            if not self.is_in_use(slot)
        )
        return free[: max(state.limit - in_use - self.beyond(state), 0)]

    def is_in_use(self, slot: Slot) -> bool:
        return slot.age < self.window

    def beyond(self, state: State) -> int:
        """Return how many slots are in use beyond the limit, which was higher."""
        return sum(self.is_in_use(slot) for slot in state.slots[state.limit :])

    def lock(self, state: State, number: int, executor: Executor) -> State:
        """Lock as many slots as are needed of those that are as they were seen and not locked."""
        free = [
            each
            for each in executor.seen
            if state.slots[each[0]].locked_by is None and self.is_as_seen(state.slots[each[0]], *each[1:])
        ]
        needed = 1 if executor.held else len(executor.claimed)
        found = tuple(Held(slot, row, taken, None) for slot, row, taken in free[:needed])
        if not found:
            return state.executor(number, at=TOO_LATE if executor.held else REFUSED, seen=(), look_age=0)
        after = state
        for each in found:
            after = after.slot(each.number, locked_by=number)
        if executor.held:
            found = (*executor.held[: executor.begun], *found, *executor.held[executor.begun + 1 :])
        return after.executor(number, at=TAKEN, seen=(), held=found)

    def take(self, state: State, number: int, executor: Executor) -> State:
        """Commit that slots are taken: by the second connection for a mutation, with its row for an action.

        Of a group, those begin that have a slot, and the others wait from its end on.
        """
        age = min(executor.look_age, DELAY + 1)
        held = tuple(
            [each._replace(taken=each.taken + 1, age=age) if each.age is None else each for each in executor.held]
        )
        claimed = executor.claimed[: len(held)]
        refused = executor.refused + executor.claimed[len(held) :]
        after = self.stamp(state, number, executor)
        after = after.executor(number, at=READY, claimed=claimed, refused=refused, held=held, look_age=0)
        function = state.functions[claimed[0]]
        if function.kind == CLAIMED_TWICE:
            after = after.function(claimed[0], is_hidden=True).unlocked(number).executor(number, at=HIDING)
        elif function.kind in ACTIONS and function.locked_by == number:
            after = after.function(claimed[0], state=IN_PROGRESS, executor=number).unlocked(number)
        return after.counted_anew()

    def stamp(self, state: State, number: int, executor: Executor) -> State:
        """Have everybody see that the slots are taken, since the statement began that has looked for them."""
        for index, slot in enumerate(state.slots):
            if slot.locked_by == number:
                state = state.slot(index, taken=slot.taken + 1, age=executor.look_age, locked_by=None)
        return state

    def claim_by_id(self, state: State, number: int, executor: Executor) -> State:
        """Claim what was hidden, if it still is pending."""
        function = executor.claimed[0]
        row = state.functions[function]
        if row.state != PENDING or row.waits or row.locked_by is not None:
            return self.give_back(state, executor).idle(number)
        return state.function(function, is_hidden=False, locked_by=number).executor(number, at=READY)

    def is_in_time(self, held: Held) -> bool:
        return held.age is not None and held.age <= DELAY

    def begin(self, state: State, number: int, executor: Executor) -> State:
        begun = executor.begun + 1
        after = state._replace(starts=tuple(sorted([*state.starts, Start(0, executor.limit)])))
        if begun == len(executor.claimed):
            return after.executor(number, at=RUNNING, begun=begun, limit=0, held=(), beside=())
        return after.executor(number, at=RUNNING, begun=begun)

    def renew(self, state: State, number: int, executor: Executor) -> State:
        """Take the same slot once more, if nobody else has taken it; else look for another one."""
        held = executor.held[executor.begun]
        slot = state.slots[held.number]
        if not self.is_as_seen(slot, held.row, held.taken):
            return state.executor(number, at=TOO_LATE)
        return self.renewed(state, number, executor, held)

    def renewed(self, state: State, number: int, executor: Executor, held: Held) -> State:
        """Take a slot again. It counts, so that who has seen it free does not take it."""
        taken = state.slots[held.number].taken + 1
        now = held._replace(taken=taken, age=0)
        after = state.slot(held.number, taken=taken, age=0)
        renewed = (*executor.held[: executor.begun], now, *executor.held[executor.begun + 1 :])
        return after.executor(number, held=renewed).counted_anew()

    def end(self, state: State, number: int, executor: Executor) -> State:
        """Record the end, unless somebody has decided meanwhile."""
        for each in executor.claimed:
            function = state.functions[each]
            if (function.state == IN_PROGRESS and function.executor == number) or function.locked_by == number:
                state = state.function(each, state=DONE, executor=None)
        return self.wait(state, number, executor.refused)

    def wait(self, state: State, number: int, functions: tuple[int, ...]) -> State:
        """Commit that functions wait."""
        for each in functions:
            state = state.function(each, waits=True)
        return state.idle(number)

    def leave_the_rest(self, state: State, number: int, executor: Executor) -> State:
        """End a group, and leave those that have not begun to others."""
        left = self.give_back(state, executor)
        return left.executor(number, claimed=executor.claimed[: executor.begun], limit=0, held=(), beside=())

    def give_back(self, state: State, executor: Executor) -> State:
        """Free the slots of those that do not begin, if nobody has taken them since."""
        for number, row, taken, _ in executor.held[executor.begun :]:
            if self.is_as_seen(state.slots[number], row, taken):
                state = state.slot(number, taken=taken + 1, age=WINDOW)
        return state.counted_anew()

    def watch(self, state: State) -> Iterator[Step]:
        """Let in as many as there are slots."""
        free = self.free(state)
        if free and state.waiting and any(each.is_alive for each in state.executors):
            yield "a watcher lets in", self.let_in(state, len(free))

    def let_in(self, state: State, number: int) -> State:
        for function in state.waiting[:number]:
            state = state.function(function, waits=False)
        return state

    def taken_for_gone(self, state: State, number: int) -> State:
        """Record that an action is lost, or have it repeated."""
        is_repeated = state.functions[number].kind == IDEMPOTENT
        return state.function(number, state=PENDING if is_repeated else ABANDONED, executor=None)

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
                yield f"{number} is killed", state.idle(number).executor(number, is_alive=False)

    def cancel(self, state: State) -> Iterator[Step]:
        """Cancel. While a transaction has the row, this waits."""
        for function in dict.fromkeys(state.functions):
            if function.state in (PENDING, IN_PROGRESS) and function.locked_by is None:
                number = state.functions.index(function)
                after = state.function(number, state=ABANDONED, waits=False, is_hidden=False, executor=None)
                yield f"{number} is canceled", after

    def retry(self, state: State) -> Iterator[Step]:
        """Fail, and be tried again: a mutation after its rollback, and all others of its group with it."""
        for number, executor in enumerate(state.executors):
            if executor.at == RUNNING:
                after = self.give_back(state, executor)
                for each in executor.claimed:
                    if state.functions[each].executor == number:
                        after = after.function(each, state=PENDING, executor=None)
                yield f"{number} fails and is tried again", after.idle(number)

    def limit(self, state: State, value: str) -> Iterator[Step]:
        yield f"the limit becomes {value}", state._replace(limit=int(value))

    def sweep(self, state: State) -> Iterator[Step]:
        """Look for slots that have not been taken for longer than the window."""
        idle = tuple(
            (number, each.row, each.taken) for number, each in enumerate(state.slots) if not self.is_in_use(each)
        )
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
        """Say what of this step must not be."""
        for was, executor in zip(before.executors, after.executors, strict=True):
            if executor is was:
                continue
            if executor.begun > was.begun:
                most = max(each.limit for each in after.starts)
                if len(after.starts) > most:
                    yield f"{len(after.starts)} starts within a period, and the limit is {most}"
                if len(was.beside) >= was.limit:
                    yield f"a start besides {len(was.beside)} that it has seen, and the limit is {was.limit}"
            kept = {each.number for each in executor.held}
            for each in was.held[max(was.begun, executor.begun) :]:
                slot = before.slots[each.number]
                was_kept = (slot.row, slot.taken) == (each.row, each.taken)
                if was_kept and executor.is_alive and each.number not in kept and after.slots[each.number].age < WINDOW:
                    yield f"the slot {each.number} is in use, and for nobody"
