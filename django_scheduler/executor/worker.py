"""A worker is one thread that claims a function, or a group of mutations, and executes it, again and again.

It looks and claims while it has the claim lock, and releases the lock when it has claimed: while it executes, the next
worker looks (``poller.py``). On SQLite, where one writer keeps the others waiting, the lock is released after the
commit. So it is where a worker has claimed actions for others too (``action.py``): these wait, and are given an action.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from itertools import chain, takewhile
from typing import TypeGuard, TypeVar

from django.db import transaction

from django_scheduler.databases import TABLE, Claimable, Database, Lane, Wanted, django_internals
from django_scheduler.executor.action import ActionExecution
from django_scheduler.executor.answer_timeout import awaiting_answer
from django_scheduler.executor.body import FunctionExecution, own_this_thread
from django_scheduler.executor.claim_lock import ClaimLock, GivenExecution, Holding
from django_scheduler.executor.claim_policy import (
    LONG,
    GroupingPolicy,
    GroupSize,
    LeftToOthers,
    PutOff,
    RetryStorm,
)
from django_scheduler.executor.claims import ClaimedTooMany, claims_in, learn_of_lanes
from django_scheduler.executor.execution import Execution, SingleExecution, has_expired
from django_scheduler.executor.grouping import GROUP_SECONDS, MutationGroup
from django_scheduler.executor.limit_watch import LimitWatch
from django_scheduler.executor.limits import admit
from django_scheduler.executor.mutation import MutationExecution
from django_scheduler.executor.poller import Poller
from django_scheduler.executor.rates import StartingGroup, claim_put_aside
from django_scheduler.executor.second_session import SecondSession
from django_scheduler.executor.session import executor_session, tidy_connections
from django_scheduler.executor.turns import by_turns
from django_scheduler.executor.unexecutable import (
    ExpiredExecution,
    Unexecutable,
    UnexecutableGroup,
    execution_of_unknown,
)
from django_scheduler.executor.waiting import SlotsMissing, WaitingGroup
from django_scheduler.functions import registry
from django_scheduler.models import Kind, ScheduledFunctionId
from django_scheduler.record import forget_traceback
from django_scheduler.telemetry import log_of_executors as log
from django_scheduler.transactions import DoublingWait

E = TypeVar("E", bound=SingleExecution)


@dataclass(kw_only=True, eq=False)
class Worker:
    """Claims and executes, in the thread that calls ``run``.

    ``grouping_policy``, ``put_off``, ``left_to_others``, ``retry_storm``, ``limit_watch`` and ``second_session`` are
    those of all workers of the executor.
    """

    database: Database
    poller: Poller
    claim_lock: ClaimLock
    stopping: threading.Event
    executor_name: str
    executing_ids: Callable[[], list[int]]
    grouping_policy: GroupingPolicy
    put_off: PutOff
    left_to_others: LeftToOthers
    retry_storm: RetryStorm
    limit_watch: LimitWatch
    second_session: SecondSession

    def __post_init__(self) -> None:
        #: What it executes now.
        self.execution: Execution | None = None
        #: Whether it executes the members of a group, one after the other. Between two of them it executes nothing.
        self.executes_members_alone = False
        #: The group size of the lane that it has claimed from last.
        self._size = GroupSize()
        #: How many functions it has asked for last, and how many it has locked.
        self._asked_for = self._claimed = 0
        #: When it has asked, by ``time.perf_counter()``.
        self._asked_at = 0.0
        #: Whether it is the one worker that executes what is not healthy in a storm, and whether another one is.
        self._is_retrying = self._another_is_retrying = False
        #: The error of the COMMIT with which what it has taken began, if there was one.
        self._error_of_taken: BaseException | None = None
        self._waits_after_failure = DoublingWait(first=0.1, longest=2.0)

    def run(self) -> None:
        """Work until there is nothing left to do, or the executor stops."""
        own_this_thread()
        with executor_session(self.database):
            while Context().run(self._claim_and_execute):  # what receivers of signals leave in it does not stay
                pass

    def _claim_and_execute(self) -> bool:
        with self.claim_lock.held(self._take) as holding:
            try:
                if holding is None:
                    self._conclude_taken()
                else:
                    lanes = self.poller.due_lanes()
                    if lanes is None:
                        return False
                    self._execute_next(lanes, holding)
                self._waits_after_failure.reset()
            except BaseException as error:
                self.poller.wake_up()  # what it knew of what is due may have been used up in vain
                if not self.database.is_conflict(error):
                    self._recover_from(error)
        return True

    def _take(self, given: GivenExecution) -> None:
        """Take an action that another worker has claimed for this one."""
        self.execution, self._error_of_taken = given

    def _conclude_taken(self) -> None:
        error, self._error_of_taken = self._error_of_taken, None
        assert self.execution is not None
        self._conclude(self.execution, error)

    def _execute_next(self, lanes: list[Lane], holding: Holding) -> None:
        claim = partial(self._claim, lanes)
        has_found_one = None
        while has_found_one is None:  # not within an except block: the body would see the error as being handled
            with suppress(ClaimedTooMany):
                has_found_one = self._execute(claim, holding)
            if has_found_one is None:
                self._size.went_wrong()
        if self._another_is_retrying:
            self.poller.wait_for_news()
        elif not has_found_one:
            self.poller.found_all_locked(lanes)

    def _execute_alone(self, function_id: ScheduledFunctionId) -> None:
        def claim() -> SingleExecution | None:
            claimed = self.database.claim_again(function_id)
            return None if claimed is None else self._execution_of(claimed)

        self._execute_member(claim)

    def _execute_put_aside(self, first: FunctionExecution) -> None:
        self._execute_member(partial(claim_put_aside, first, self._execution_of))

    def _execute_member(self, claim_it: Callable[[], SingleExecution | None]) -> None:
        if self.stopping.is_set():
            return  # it is pending, and another executor executes it
        self.executes_members_alone = True

        def claim() -> Execution | None:
            self._asked_for = self._claimed = 1
            execution = claim_it()
            return None if execution is None else self._admitted(execution, [])

        self._execute(claim, Holding(self.claim_lock))  # releases nothing: another worker has the lock by now

    def _execute(self, claim: Callable[[], Execution | None], holding: Holding) -> bool:
        """Claim in a transaction, execute in it or after it, and return whether there was anything to claim."""
        while True:
            try:
                return self._claim_in_transaction(claim, holding)
            except SlotsMissing as error:
                slots = error.slots
            with awaiting_answer():
                self.database.add_slots(slots)

    def _claim_in_transaction(self, claim: Callable[[], Execution | None], holding: Holding) -> bool:
        execution = None
        error: BaseException | None = None
        try:
            with awaiting_answer(), transaction.atomic(using=self.database.using, durable=True):
                execution = self.execution = claim()
                if execution is not None:
                    execution.release_claim_lock = holding.release
                    if isinstance(execution, StartingGroup):
                        execution.execute = self._execute_put_aside
                    # So that the workers that execute the others of an action stay idle until COMMIT. And so that no
                    # other worker finds that a slot is locked because others of its limit begin to wait.
                    begins_others = isinstance(execution, ActionExecution) and execution.others
                    if not (self.database.has_one_writer or begins_others or isinstance(execution, WaitingGroup)):
                        holding.release(after=execution.keeps_claim_lock_for)
                    execution.in_transaction()
        except BaseException as raised:
            if execution is None:
                raise
            error = raised
        if execution is None:
            self._stop_retrying()
            return False
        if isinstance(execution, ActionExecution):
            self._give_others(execution, error)
        holding.release()
        # Not within the except block: the members of a group that run again would see the error as being handled.
        if error is None:
            self._note_success(execution)
        else:
            self._note_failure(execution)
        self._conclude(execution, error)
        return True

    def _give_others(self, first: ActionExecution, error: BaseException | None) -> None:
        """Give those actions that may have begun besides to the workers that they were claimed for."""
        if error is None or first.is_committing:
            self.claim_lock.give([GivenExecution(each, error) for each in first.others])
        self._claimed -= len(first.others)
        first.others = ()

    def _conclude(self, execution: Execution, error: BaseException | None) -> None:
        """Do what follows the transaction, which has committed, or was ended by the error."""
        try:
            with self._ending(execution):
                if error is None:
                    execution.after_commit()
                else:
                    self._record_failure(execution, error)
                    self.poller.wake_up()  # for the time of the retry
                for each in execution.begun:
                    if each.is_left:
                        self.left_to_others.note(each.name)
            if any(each.is_repeated for each in execution.begun):
                self.poller.wake_up()  # for the time of the next attempt
        finally:
            if error is not None:
                forget_traceback(error)  # its frames may hold cursors

    def _record_failure(self, execution: Execution, error: BaseException) -> None:
        try:
            execution.after_rollback(error)
            self.put_off.forget(execution.ids)
            if isinstance(execution, MutationExecution):
                self.retry_storm.note(execution.name, is_transient=execution.has_met_transient_error)
        except BaseException as problem:
            if problem is error and self.database.is_lost(error):
                raise  # it has not begun, so nothing is to be recorded: it is claimed again on a new connection
            wait = self.put_off.add(execution.ids)
            message = "how it ended could not be recorded. This executor passes over it for %.1f s: %s"
            for each in execution.begun:
                each.log(logging.ERROR, message, wait, problem, error=problem)
            if self.database.is_lost(problem):
                raise

    @contextmanager
    def _ending(self, execution: Execution) -> Iterator[None]:
        """Leave nothing of the function to the next one."""
        try:
            yield
        finally:
            self._note_free_slots(execution.begun)
            self.execution = None
            if isinstance(execution, MutationGroup | StartingGroup):
                self.executes_members_alone = False
            if self._stop_retrying():
                self.poller.wake_up()  # one that waits may retry now, and keeps the claim lock until then
            self.poller.function_ended()
            tidy_connections(self.database.using)

    def _note_free_slots(self, ended: Sequence[SingleExecution]) -> None:
        """Have those let in that have begun to wait for their limits since these have begun."""
        for each in ended:
            if each.limit is not None and not each.others_wait:
                if each.duration > LONG:
                    self.limit_watch.something_waits()  # perhaps, and had wait by an executor that looks seldom by now
                else:
                    self.limit_watch.slots_are_free()

    def _claim(self, lanes: list[Lane]) -> Execution | None:
        """Claim one function, or several mutations for a group; in a retry storm, what is healthy first."""
        self._another_is_retrying = False
        if not self.retry_storm.is_on:
            return self._claim_first(lanes)
        # It retries already if it has just claimed too many.
        in_order_of_all = self._is_retrying or self.retry_storm.is_retry_time()
        if not in_order_of_all and (execution := self._claim_first(lanes, only_healthy=True)):
            return execution
        self._is_retrying = self._is_retrying or self.retry_storm.start_retrying()
        self._another_is_retrying = not self._is_retrying
        return self._claim_first(lanes) if self._is_retrying else None

    def _stop_retrying(self) -> bool:
        """Let another worker retry, and return whether this one has."""
        was_retrying, self._is_retrying = self._is_retrying, False
        if was_retrying:
            self.retry_storm.stop_retrying()
        return was_retrying

    def _claim_first(self, lanes: list[Lane], *, only_healthy: bool = False) -> Execution | None:
        """Claim what is due first and not locked; ``only_healthy``: of what meets no transient errors."""
        executing = [*self.executing_ids(), *self.put_off.ids]
        unhealthy = self.retry_storm.names if only_healthy else None
        left = self.left_to_others.passed_over
        policy, idle, database = self.grouping_policy, self.claim_lock.idle, self.database
        only = [policy.claim_in(lanes[0], idle=idle)] if len(lanes) == 1 else None  # there is nothing to decide
        for claim in only or claims_in(lanes, policy, idle=idle, later=database.later):
            self._size, self._asked_for = claim.size, claim.most
            self.poller.claims_in(claim.lanes)
            wanted = Wanted(claim.before, executing, unhealthy, left)
            self._asked_at = time.perf_counter()
            if len(claim.lanes) == 1:
                claimed = database.claim(claim.lanes[0], wanted, most=claim.most)
            else:
                several = database.claim_in_several(claim.lanes, wanted, most=claim.most, of_each=claim.of_each)
                claimed = by_turns(several, claim.lanes)
            if self.stopping.is_set():
                return None  # what is scheduled after that may have been found by a claim that was sent before it
            if claimed:
                execution = self._group_of(claimed, idle=idle)
                if claim.is_shared:
                    self._asked_for = len(claimed)  # that there were no more says nothing of the lanes that come next
                    self._size = learn_of_lanes(claim, policy, claimed, len(execution.ids))
                if len(claimed) > 1 and isinstance(execution, MutationExecution):
                    raise ClaimedTooMany
                self._claimed, number = len(claimed), len(execution.ids)
                execution = self._admitted(execution, claimed[number:])
                if only is None and not isinstance(execution, WaitingGroup):
                    policy.turns.note(claimed[:number], claim.lanes[0].priority)
                if not only_healthy and len(execution.ids) == number and not isinstance(execution, WaitingGroup):
                    self.poller.claimed_up_to(claim.lanes, claimed[:number], were_all=len(claimed) < claim.most)
                return execution
        return None

    def _admitted(self, execution: Execution, rest: Sequence[Claimable]) -> Execution:
        """Return the execution, or that of those that have to wait for their limits."""
        if all(each.limit is None and each.rate_limit is None for each in execution.chosen):
            return execution
        return admit(execution, self.database, self.executor_name, self.second_session, map(self._execution_of, rest))

    def _group_of(self, claimed: list[Claimable], *, idle: int) -> Execution:
        """Group the functions at the beginning that may share a transaction, or else execute the first function.

        With an action begin as many others as there are idle workers, also if more were claimed for mutations.
        """
        first = self._execution_of(claimed[0])
        executions = chain([first], map(self._execution_of, claimed[1:]))
        self._size.came_first(is_action=isinstance(first, ActionExecution))
        if isinstance(first, ActionExecution):
            actions = _first(executions, _is_action)
            first.others = list(takewhile(lambda each: each.attempt == first.attempt, actions))[1 : 1 + idle]
            return first
        if isinstance(first, Unexecutable):
            return UnexecutableGroup(_first(executions, _is_unexecutable))
        members = _first(executions, self._may_be_grouped)
        if len(members) > 1:
            special = self.database.special_relations()
            if TABLE not in special:
                group = MutationGroup(
                    members, self.database, self.executor_name, special, self._execute_alone, self._asked_at
                )
                group.keeps_claim_lock_for = GROUP_SECONDS if self._size.keeps_claim_lock(len(members)) else 0.0
                return group
            self._size.cannot_grow()
        return first

    def _may_be_grouped(self, execution: Execution) -> TypeGuard[MutationExecution]:
        return (
            isinstance(execution, MutationExecution)
            and not execution.function.alone
            and not self.grouping_policy.runs_alone(execution.name)
        )

    def _note_success(self, execution: Execution) -> None:
        executed = execution.begun
        if execution.has_others_wait or isinstance(execution, WaitingGroup):
            self.limit_watch.something_waits()
        self.put_off.forget(each.id for each in executed)
        for each in executed:
            if isinstance(each, MutationExecution):
                self.grouping_policy.note_duration(each.name, each.duration)
                self.retry_storm.note(each.name, is_transient=False)
        if isinstance(execution, MutationGroup) and execution.keeps_claim_lock_for:
            self._size.kept_claim_lock(execution.computing_share)
        if isinstance(execution, WaitingGroup):
            self._size.came_first(is_action=False)  # so that the next claim has as many of them wait as a group has
            self._size.went_well(len(execution.ids), asked_for=len(execution.ids))
        elif isinstance(execution, StartingGroup):
            self._size.went_well(len(execution.ids), asked_for=self._asked_for)
        elif isinstance(execution, MutationGroup | UnexecutableGroup) or self._may_be_grouped(execution):
            self._size.went_well(len(executed), asked_for=self._asked_for)
        else:
            self._size.went_wrong()
        if len(executed) < self._claimed:
            self.poller.wake_up()  # the others were locked, so a worker that looked meanwhile sleeps

    def _note_failure(self, execution: Execution) -> None:
        self._size.went_wrong()
        group = execution if isinstance(execution, MutationGroup) else None
        culprit = group.culprit if group else execution
        if isinstance(culprit, MutationExecution):
            rate_limit = culprit.function.rate_limit
            # The group may have used up all slots. When there are some again, it would run in such a group once more.
            window = rate_limit.window.total_seconds() if rate_limit else 0.0
            self.grouping_policy.run_alone(culprit.name, for_good=bool(group and group.refused), and_for=window)

    def _execution_of(self, claimed: Claimable) -> SingleExecution:
        return _make_execution(claimed, self.database, self.executor_name)

    def _recover_from(self, error: BaseException) -> None:
        wait = self._waits_after_failure.next()
        message = "Executor %s could not look for due functions, claim one or execute it. It tries again in %.1f s: %s"
        log(logging.ERROR, message, self.executor_name, wait, error, error=error, executor=self.executor_name)
        django_internals.discard(self.database.connection)
        self.stopping.wait(wait)


def _first(executions: Iterable[SingleExecution], is_one: Callable[[SingleExecution], TypeGuard[E]]) -> list[E]:
    """Return the executions of a kind at the beginning, before the first other one."""
    found: list[E] = []
    for execution in executions:
        if not is_one(execution):
            break
        found.append(execution)
    return found


def _is_action(execution: SingleExecution) -> TypeGuard[ActionExecution]:
    return isinstance(execution, ActionExecution)


def _is_unexecutable(execution: SingleExecution) -> TypeGuard[Unexecutable]:
    return isinstance(execution, Unexecutable)


def execution_of(claimed: Claimable, database: Database, executor_name: str) -> SingleExecution:
    """Return the execution of a claimed function, by its kind."""
    if has_expired(claimed, database):
        return ExpiredExecution(claimed, database, executor_name)
    function = registry.find_recorded(claimed.name, claimed.kind)
    if function is None:
        return execution_of_unknown(claimed, database, executor_name)
    kind = MutationExecution if function.kind is Kind.MUTATION else ActionExecution
    return kind(claimed, database, executor_name, function)


#: Makes the execution of what an executor has claimed.
ExecutionMaker = Callable[[Claimable, Database, str], SingleExecution]

_make_execution: ExecutionMaker = execution_of


def execute_with(make_execution: ExecutionMaker | None) -> None:
    """Have executors do something else with what they claim from now on; ``None``: execute it."""
    global _make_execution
    _make_execution = make_execution or execution_of
