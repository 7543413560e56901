"""Limits: no more bodies of a limit run at once than it has slots, in all executors together.

The invariant: a body of a function with ``concurrency=`` runs only while it has a slot of its limit, from before the
body begins until it has ended, and no two have the same one. A slot is a row of the table ``Slot``; for each value of
the key there are as many as the limit says. Who has a slot is never counted, and never noted at the end of a body: it
is derived, so nothing that dies has to give back anything.

* A mutation locks the row of a slot in the transaction in which its body runs and its success is recorded. The lock
  ends with that transaction, however that ends. The members of a group run one after the other in one transaction, so
  those of the same limit share a slot.
* An action writes its id and its attempt into the slot, in the transaction that records that it is in progress. The
  slot is taken as long as the function's row says that this attempt is in progress.
* The row of an action may say that it has ended while its body goes on: it was canceled, its time was up, or another
  executor has taken this one for gone. Then its slot is taken as long as its executor is on record, and the executor
  clears it when the body has ended. (An executor that is taken for gone is deleted, so its bodies are not waited for
  from then on: what was only silent may exceed the limit by the bodies that it was running then. That is the price for
  the other case, and the same one that makes them ``lost``.)
* A canceled mutation has no row that says so while its body goes on. So on PostgreSQL the cancel of one that has a
  limit does not interrupt its session, but waits for its end, as on other databases. One whose time is up, and that
  does not react, loses its session, and with it its slot.

These are the races, and what becomes of them:

* Two transactions want the last slot. One of them locks it, and the other one passes over it: it finds none. If the
  first one commits between the moment when the second one has read that the slot is free and that when it locks it,
  then the slot's counter has changed, and it is passed over too (``databases/slots.py``).
* A function that finds no slot *waits*: in a short transaction its due time is moved into the year 9000, so no look and
  no claim meets it any more, however many wait. It has no attempt and no thread. What was claimed with it is claimed
  again, so nobody's lock lasts while a body runs.
* Functions wait when a slot is given back. Who has taken the slot has seen that others wait, and *lets in* the next one
  in the transaction that records its end: it is due again, as it was. Being let in is no promise. It takes a slot like
  any other, or waits again. So it does no harm to let in too many, or the same limit by several executors at once.
* One begins to wait at the same time as the slot is given back, so neither sees the other; or the process dies that
  would have let it in; or slots were added. So an executor that has had a function wait looks after it: soon, and then
  ever more seldom, at most every second, as long as anything waits. Should that executor die as well: every heartbeat
  of an executor asks, in a statement that it makes anyway, whether anything waits, and looks after it from then on.
* What has been let in does not begin: its queue is paused, or nobody serves it. An executor that looks lets in no more
  than there are free slots, but after a while some more, so others of that limit come to their turn.
* A limit of one keeps the order of due times. There may be a function that is due earlier, and that another executor
  has locked but has not begun. So the functions of such a limit have it on record from the moment that they are
  scheduled, and none begins as long as an earlier one is pending. (One that is repeated, or was moved, has lost its
  place: it has another due time.)
* The rows of slots are inserted when they are first missed, by a transaction of their own, and what was claimed is
  claimed again: two that insert the same row would wait for each other.

How many slots there are is asked in the statement that takes one. So what somebody has set instead of what the code
says (``Limit``) counts from the next start on. Those that are missing are added. Slots beyond it are not taken any
more; what actions still have there counts, and what mutations have locked there does not. A limit that no code of this
executor has is one that nothing waits for: what waits is let in.
"""

from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeGuard

from django_scheduler.databases import Database, DriverTime, FoundSlot, WantedSlots
from django_scheduler.executor.action import ActionExecution
from django_scheduler.executor.body import FunctionExecution
from django_scheduler.executor.execution import Execution, SingleExecution
from django_scheduler.executor.rate_slots import give_back
from django_scheduler.executor.rates import admit_to_rates
from django_scheduler.executor.second_session import SecondSession
from django_scheduler.executor.waiting import SlotsMissing, WaitingGroup, due_before
from django_scheduler.models import ScheduledFunctionId


def admit(
    execution: Execution,
    database: Database,
    executor_name: str,
    second_session: SecondSession,
    rest: Iterable[SingleExecution],
) -> Execution:
    """Take slots for what is about to begin, in the transaction that has claimed it.

    Return what begins now. If a function finds no slot, return what has it wait, together with those of the ``rest``
    that was claimed that are of the same limit. Raises ``SlotsMissing``.
    """
    others = list(rest)
    if waiting := _take_slots(execution, database, executor_name, others):
        give_back(
            [each.rate_slot for each in execution.chosen if isinstance(each, FunctionExecution) and each.rate_slot]
        )
        return waiting
    holders = [each for each in execution.chosen if isinstance(each, ActionExecution) and each.slot_id is not None]
    admitted = admit_to_rates(execution, database, second_session, others)
    for each in holders:
        if each.slot_id is not None and each not in admitted.chosen:
            # It waits. The attempt that begins later has the same number, and may have another slot.
            database.clear_slot(each.slot_id, each.id, each.attempt, executor_name)
            each.slot_id = None
    return admitted


def _take_slots(
    execution: Execution, database: Database, executor_name: str, rest: Iterable[SingleExecution]
) -> WaitingGroup | None:
    """Take slots of what is limited in how many bodies run at once; return who has to wait, if somebody has to."""
    limited = list(filter(_is_limited, execution.chosen))
    if not limited:
        return None
    actions = [each for each in limited if isinstance(each, ActionExecution)]
    numbers = Counter(each.limit for each in limited)
    wanted = {each.limit: _wanted(each, numbers[each.limit] if actions else 1) for each in limited}
    if len(actions) == 1:
        found = database.take_slot(wanted[actions[0].limit], actions[0].id, actions[0].attempt, executor_name)
    else:
        found = database.lock_slots(list(wanted.values()), [each.id for each in limited])
    first: dict[str | None, tuple[DriverTime, int]] = {
        slot.limit: slot.first for slot in found if slot.first is not None
    }
    out_of_turn = _out_of_turn(limited, first, database)
    waiting = _without_slot(limited, found, out_of_turn, lets_in=database.sees_what_is_committed())
    if not waiting:
        if len(actions) > 1:
            holders = {each.slot_id: (each.id, each.attempt) for each in actions if each.slot_id is not None}
            database.take_slots(holders, executor_name)
        return None
    free = Counter(each.limit for each in found)
    short = [each._replace(number=lack) for each in wanted.values() if (lack := each.number - free[each.limit])]
    if short and (slots := database.missing_slots(short)):
        raise SlotsMissing(slots)
    full = {each.limit for each in waiting}
    members = {each: each.limit for each in [*waiting, *rest] if each.limit in full and each.limit is not None}
    before = {first[each.limit][1] for each in waiting if each.id in out_of_turn and each.limit in first}
    return WaitingGroup(members, database, before)


def _is_limited(execution: SingleExecution) -> TypeGuard[FunctionExecution]:
    return execution.limit is not None


def _wanted(execution: FunctionExecution, number: int) -> WantedSlots:
    function = execution.function
    assert execution.limit is not None
    assert function.concurrency is not None
    size = function.concurrency.limit
    return WantedSlots(execution.limit, function.limit_name, size, number, function.keeps_order)


def _without_slot(
    limited: Sequence[FunctionExecution],
    found: Sequence[FoundSlot],
    out_of_turn: Collection[ScheduledFunctionId],
    *,
    lets_in: bool,
) -> list[FunctionExecution]:
    """Give each function a slot, mutations of one limit the same one, and return those that have to wait.

    ``lets_in``: whether their ends let in who waits. Where a transaction sees an older snapshot, that could undo what a
    body has done, so the limit watch does it, once the transaction has ended.
    """
    slots: dict[str | None, deque[FoundSlot]] = {}
    for slot in found:
        slots.setdefault(slot.limit, deque()).append(slot)
    waiting = []
    for each in limited:
        free = slots.get(each.limit)
        if not free or each.id in out_of_turn:
            waiting.append(each)
            continue
        each.others_wait = free[0].others_wait and lets_in
        if isinstance(each, ActionExecution):
            each.slot_id = free.popleft().id
    return waiting


def _out_of_turn(
    limited: Sequence[FunctionExecution], first: Mapping[str | None, tuple[DriverTime, int]], database: Database
) -> set[ScheduledFunctionId]:
    """Return those whose limit keeps the order of due times while one that is due earlier would not begin before them.

    That is one of those that follow here, or one that is not here, of which the ``first`` of each limit is known.
    """
    found: set[ScheduledFunctionId] = set()
    earliest = {**first}
    for each in reversed(limited):
        if each.function.keeps_order:
            place = due_before(each, database) or each.claimed.due_time, each.id
            if earliest.setdefault(each.limit, place) < place:
                found.add(each.id)
            earliest[each.limit] = min(place, earliest[each.limit])
    return found
