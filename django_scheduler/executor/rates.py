"""Rate limits: no more bodies of a limit begin within its period than it says, wherever that begins.

The invariant: each body of a function with ``rate_limit=`` that begins has taken a slot of its limit, and two that have
taken the same one begin at least a period apart. There are as many slots as the limit says, for each value of its key.
So no stretch of time as long as a period has more beginnings. All times are the database's.

* A slot is a row of the table ``Slot``. It is taken by writing the present into it (``taken_time``), and is free again
  when that is a *window* ago: a period, and the longest delay with which a body begins after its slot was taken.
  Nothing is given back at the end of a body, so nothing is leaked by what dies.
* That a slot is taken is committed before the body begins, whatever becomes of the body. An action takes it in the
  transaction that records that it is in progress. The transaction of a mutation ends with its body, and may be rolled
  back with it; so another session of the executor takes the slot, while the row of the function is locked.
* A body that would begin later than the longest delay takes its slot again, which makes the present of it. If somebody
  else has taken that meanwhile, because the machine stood still for longer than a period, it takes another one. If
  there is none, a mutation is executed later; an action, which has begun on record, begins all the same.
* Each beginning counts: that of another attempt, and that of a mutation that runs again alone because its group was
  rolled back. To wait takes no slot. Slots that were taken for members that a group does not come to are given back.

These are the races, and what becomes of them:

* Two want the last slot: as with other slots, the counter ``taken`` decides (``databases/rates.py``). It grows also
  when a slot is taken again or given back, so who has read the row before sees that it is not what it was.
* A process dies between taking the slot and the beginning of the body: nobody uses that slot for a window. The function
  is pending, or, if it is an action, lost, as ever.
* A function that finds no slot waits, as for other limits (``limits.py``). Nobody's end lets it in. The limit watch of
  each executor that knows that it waits knows when the next slot is free, and lets in as many as there are slots. To be
  let in is no promise either.
* Somebody sets another number: it counts from the next start on. Starts that have slots beyond it count as well, until
  their windows are over.

A process that is suspended in just the moment between its last look at the clock and the body, or a database that takes
longer than the longest delay to answer, can have a body begin late, and so too close to the next ones.

SQLite has one writer, so while a mutation is executing no other session can commit anything. There, a first short
transaction takes the slots and puts the functions aside: they are due a moment later, so nobody else claims them. A
second one claims each by its id, and its body runs there, alone. If it comes late, because another process was writing,
it takes the slot again in the transaction of the body: so such a start counts from when its slot was taken first, if
the body then fails. If the process dies in between, the functions are due after that moment.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import timedelta

from django_scheduler.databases import Claimable, Database, TakenSlot, WantedSlots
from django_scheduler.executor.action import ActionExecution
from django_scheduler.executor.body import FunctionExecution
from django_scheduler.executor.execution import Execution, SingleExecution
from django_scheduler.executor.rate_slots import RateSlot, give_back
from django_scheduler.executor.second_session import SecondSession
from django_scheduler.executor.waiting import SlotsMissing, WaitingGroup, put_aside
from django_scheduler.models import FAR, ScheduledFunctionId
from django_scheduler.record import transitions

#: For how long functions are put aside on SQLite, so that this executor has time to begin them.
PUT_ASIDE_FOR = timedelta(seconds=1)


def admit_to_rates(
    execution: Execution, database: Database, second_session: SecondSession, rest: Iterable[SingleExecution]
) -> Execution:
    """Take slots of rate limits for what is about to begin, in the transaction that has claimed it.

    Those that find none wait, and those of the ``rest`` that are of the same limits. Return the execution of the
    others; if there are none, the one that has them wait; or, on SQLite, the one that has mutations begin in a second
    transaction. Raises ``SlotsMissing``.
    """
    rated = [
        each
        for each in execution.chosen
        if isinstance(each, FunctionExecution) and each.rate_limit and not each.rate_slot
    ]
    if not rated:
        return execution
    outside_transaction = not isinstance(rated[0], ActionExecution)
    missing = _take_slots(rated, database, second_session, outside_transaction=outside_transaction)
    waiting = [each for each in rated if each.rate_slot is None]
    started = [each for each in rated if each.rate_slot is not None]
    if missing:
        give_back([each.rate_slot for each in started if each.rate_slot])
        raise SlotsMissing(missing)
    if waiting:
        full = {each.rate_limit for each in waiting}
        limits = {each: each.rate_limit for each in [*waiting, *rest] if each.rate_limit in full and each.rate_limit}
        ready = [each for each in execution.chosen if each not in waiting]
        if not ready:
            return WaitingGroup(limits, database)
        put_aside(limits, database, FAR)
        execution = execution.only(ready)
        execution.has_others_wait = True
    if started and outside_transaction and database.has_one_writer:
        # What else was claimed is claimed again.
        return StartingGroup(started, database, has_others_wait=execution.has_others_wait)
    return execution


def _take_slots(
    rated: Sequence[FunctionExecution], database: Database, second_session: SecondSession, *, outside_transaction: bool
) -> Sequence[tuple[str, int]]:
    """Take a slot for each function, as far as there are any; return those that have to be inserted."""
    numbers = Counter(each.rate_limit for each in rated)
    wanted = {each.rate_limit: _wanted(each, numbers[each.rate_limit]) for each in rated}
    asked_at = time.perf_counter()
    slots = second_session.ask(
        lambda: database.take_rate_slots(list(wanted.values())), outside_transaction=outside_transaction
    )
    free: dict[str | None, list[TakenSlot]] = {}
    for slot in slots:
        free.setdefault(slot.limit, []).append(slot)
    for each in rated:
        if (found := free.get(each.rate_limit)) and (declared := each.function.rate_limit):
            delay = declared.longest_delay
            each.rate_slot = RateSlot(
                second_session, found.pop(), asked_at, wanted[each.rate_limit], delay, outside_transaction
            )
    numbers.subtract(slot.limit for slot in slots)
    short = [each._replace(number=numbers[each.limit]) for each in wanted.values() if numbers[each.limit] > 0]
    return database.missing_slots(short) if short else []


def _wanted(execution: FunctionExecution, number: int) -> WantedSlots:
    declared = execution.function.rate_limit
    assert execution.rate_limit is not None
    assert declared is not None
    name = execution.function.rate_name
    return WantedSlots(execution.rate_limit, name, declared.limit, number, window=declared.window)


class StartingGroup(Execution):
    """Puts mutations aside whose rate slots are taken by this transaction, and executes each in one of its own."""

    #: Executes a function that was put aside; who has claimed sets it.
    execute: Callable[[FunctionExecution], None]

    def __init__(self, members: Sequence[FunctionExecution], database: Database, *, has_others_wait: bool) -> None:
        self._members = members
        self._database = database
        self.has_others_wait = has_others_wait

    @property
    def ids(self) -> Collection[ScheduledFunctionId]:
        return [member.id for member in self._members]

    @property
    def begun(self) -> Sequence[SingleExecution]:
        return []

    def in_transaction(self) -> None:
        put_aside({each: each.rate_limit for each in self._members if each.rate_limit}, self._database, PUT_ASIDE_FOR)

    def after_commit(self) -> None:
        until = time.perf_counter() + PUT_ASIDE_FOR.total_seconds() / 2
        left = deque(self._members)
        try:
            while left and time.perf_counter() < until:  # others may claim the rest soon
                member = left.popleft()
                if member.rate_slot:
                    member.rate_slot.renew_if_late()  # those before it may have taken long
                self.execute(member)
        finally:
            give_back([each.rate_slot for each in left if each.rate_slot])

    def after_rollback(self, error: BaseException) -> None:
        raise error


def claim_put_aside(
    first: FunctionExecution, execution_of: Callable[[Claimable], SingleExecution]
) -> SingleExecution | None:
    """Claim a function that was put aside, in a second transaction; ``None``: it is not there any more."""
    assert first.rate_slot is not None
    claimed = first.database.claim_put_aside(first.id)
    if claimed is None:
        first.rate_slot.give_back()
        return None
    transitions.LET_IN.apply_to_all(first.database, [first.id], {})  # it was put aside only for us
    execution = execution_of(claimed)
    execution.lag_before = first.lag
    if isinstance(execution, FunctionExecution) and execution.rate_limit == first.rate_limit:
        execution.rate_slot = first.rate_slot
    else:
        first.rate_slot.give_back()  # it has expired, or another call has taken its place, with its key
    return execution
