"""Which execution a claimed function gets: by its kind, or by being handed over.

A worker: one thread that claims a function, or a group of mutations, and executes it, again and again.

Workers take turns in looking out and claiming: whoever has claimed hands the turn on and executes, while the next
one looks (``turn.py``). On SQLite, where one writer keeps the others waiting, the turn is handed on after the commit.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import zip_longest
from typing import Any, TypeGuard

from django.db import transaction

from django_scheduler.databases import Claimable, Database, Lane, connection_state
from django_scheduler.executor.action import ActionExecution
from django_scheduler.executor.execution import Execution, MissingExecution, SingleExecution
from django_scheduler.executor.grouping import LONGEST, GroupSize, GroupSizes, LoneNames, MutationGroup
from django_scheduler.executor.mutation import MutationExecution
from django_scheduler.executor.poller import Hold, Lookout, Turn
from django_scheduler.executor.session import discard_connection, executor_session, tidy_connections
from django_scheduler.functions import registry
from django_scheduler.models import Kind, ScheduledFunctionId
from django_scheduler.telemetry import log_of_executors as log
from django_scheduler.transactions import DoublingWait


def execution_of(claimed: Claimable, database: Database, executor_name: str) -> SingleExecution:
    """What whoever is to execute it does."""
    function = registry.find_recorded(claimed.name, claimed.kind)
    if function is None:
        return MissingExecution(claimed, database, executor_name)
    kind = MutationExecution if function.kind is Kind.MUTATION else ActionExecution
    return kind(claimed, database, executor_name, function)


#: Makes the execution of what an executor has claimed.
ExecutionMaker = Callable[[Claimable, Database, str], SingleExecution]

_make_execution: ExecutionMaker = execution_of


def execute_with(make_execution: ExecutionMaker | None) -> None:
    """Have executors do something else with due functions from now on, or with ``None`` execute them."""
    global _make_execution
    _make_execution = make_execution or execution_of


class ClaimedTooMany(Exception):
    """More is locked than a mutation that runs alone: for as long as its body takes, nobody else could execute it."""


class Worker:
    def __init__(
        self,
        *,
        database: Database,
        lookout: Lookout,
        turn: Turn,
        stopping: threading.Event,
        executor_name: str,
        executing: Callable[[], list[Execution]],
        group_sizes: GroupSizes,
        lone_names: LoneNames,
    ) -> None:
        self._database = database
        self._lookout = lookout
        self._turn = turn
        self._stopping = stopping
        self._executor_name = executor_name
        self._executing = executing
        self._lone_names = lone_names
        self._sizes = group_sizes
        #: That of the lane that it has claimed from last.
        self._size = GroupSize()
        #: How many functions it has asked for last, and how many it has locked.
        self._asked_for = self._claimed = 0
        self._waits_after_failure = DoublingWait(first=0.1, longest=2.0)
        #: What it executes now.
        self.execution: Execution | None = None

    def run(self) -> None:
        """Work until there is nothing left to do, or the executor stops."""
        with executor_session(self._database):
            while self._take_turn():
                pass

    def _take_turn(self) -> bool:
        with self._turn.taken() as turn:
            try:
                lanes = self._lookout.due_lanes(besides=self._executing_ids)
                if lanes is None:
                    return False
                self._execute_next(lanes, turn)
                self._waits_after_failure.reset()
            except BaseException as error:
                if not self._database.is_conflict(error):
                    self._recover_from(error)
        return True

    def _execute_next(self, lanes: list[Lane], turn: Hold) -> None:
        claim = partial(self._claim, lanes)
        try:
            has_found_one = self._execute(claim, turn)
        except ClaimedTooMany:
            self._size.went_wrong()
            has_found_one = self._execute(claim, turn)
        if not has_found_one:
            self._lookout.found_all_locked(lanes)

    def _execute_alone(self, function_id: ScheduledFunctionId) -> None:
        if self._stopping.is_set():
            return  # it is pending, and whoever comes next executes it

        def claim() -> Execution | None:
            self._asked_for = self._claimed = 1
            claimed = self._database.claim_again(function_id)
            return None if claimed is None else self._execution_of(claimed)

        self._execute(claim, Hold(self._turn))  # the turn itself is with somebody else by now

    def _execute(self, claim: Callable[[], Execution | None], turn: Hold) -> bool:
        """Claim and execute, in one transaction; whether there was anything to claim."""
        execution = None
        wrappers: list[Any] = []
        try:
            with transaction.atomic(using=self._database.using, durable=True):
                execution = self.execution = claim()
                if execution is not None:
                    wrappers = list(connection_state.statement_wrappers(self._database.connection))
                    execution.let_go = turn.hand_on
                    if not self._database.has_one_writer:
                        turn.hand_on(after=execution.keeps_turn_for)
                    execution.in_transaction()
        except BaseException as error:
            if execution is None:
                raise
            turn.hand_on()
            with self._ending(wrappers):
                self._note_failure(execution)
                execution.after_rollback(error)
            self._lookout.ring()  # for the time of the retry
        else:
            if execution is None:
                return False
            turn.hand_on()
            with self._ending(wrappers):
                self._note_success(execution)
                execution.after_commit()
        return True

    @contextmanager
    def _ending(self, wrappers: list[Any]) -> Iterator[None]:
        """Leave nothing of the function; the statements' ``wrappers`` are those of before."""
        try:
            yield
        finally:
            self.execution = None
            self._lookout.function_ended()
            tidy_connections(self._database.using)
            connection_state.set_statement_wrappers(self._database.connection, wrappers)

    def _claim(self, lanes: list[Lane]) -> Execution | None:
        """Of the best lane that has any: one function, or several mutations for a group."""
        executing = self._executing_ids()
        for lane, next_lane in zip_longest(lanes, lanes[1:]):
            self._size = self._sizes.of(lane)
            self._asked_for = self._size.next
            before = next_lane if next_lane and next_lane.priority == lane.priority else None
            claimed = self._database.claim(lane, most=self._asked_for, before=before, besides=executing)
            if claimed:
                execution = self._group_of(claimed)
                if len(claimed) > 1 and isinstance(execution, MutationExecution):
                    raise ClaimedTooMany
                self._claimed = len(claimed)
                self._lookout.claimed_up_to(lane, claimed[len(execution.ids) - 1].due_time)
                return execution
        return None

    def _group_of(self, claimed: list[Claimable]) -> Execution:
        """The mutations at the beginning that may share a transaction, or else the first function."""
        members = []
        for execution in map(self._execution_of, claimed):
            if not self._may_be_grouped(execution):
                break
            members.append(execution)
        if len(members) > 1:
            if self._database.may_group():
                group = MutationGroup(members, self._database, self._executor_name, self._execute_alone)
                group.keeps_turn_for = LONGEST if self._size.keeps_turn(len(members)) else 0.0
                return group
            self._size.cannot_grow()
        return self._execution_of(claimed[0])

    def _may_be_grouped(self, execution: Execution) -> TypeGuard[MutationExecution]:
        return (
            isinstance(execution, MutationExecution)
            and not execution.function.alone
            and execution.name not in self._lone_names
        )

    def _note_success(self, execution: Execution) -> None:
        executed = execution.begun if isinstance(execution, MutationGroup) else [execution]
        if isinstance(execution, MutationGroup) and execution.keeps_turn_for:
            self._size.kept_turn(execution.computing_share)
        if isinstance(execution, MutationGroup) or self._may_be_grouped(execution):
            self._size.went_well(len(executed), asked_for=self._asked_for)
        else:
            self._size.went_wrong()
        for each in executed:
            if isinstance(each, MutationExecution):
                self._lone_names.add_if_long(each.name, each.duration)
        if len(executed) < self._claimed:
            self._lookout.ring()  # the others were locked, and whoever looked meanwhile has gone to sleep

    def _note_failure(self, execution: Execution) -> None:
        self._size.went_wrong()
        culprit = execution.culprit if isinstance(execution, MutationGroup) else execution
        if isinstance(culprit, MutationExecution):
            self._lone_names.add(culprit.name)

    def _executing_ids(self) -> list[int]:
        # What a worker of this process executes is locked, except for the moment between its rollback and the
        # record of why. Others may run it once more in that moment, to no effect; we need not.
        return [function_id for execution in self._executing() for function_id in execution.ids]

    def _execution_of(self, claimed: Claimable) -> SingleExecution:
        return _make_execution(claimed, self._database, self._executor_name)

    def _recover_from(self, error: BaseException) -> None:
        wait = self._waits_after_failure.next()
        log(
            logging.ERROR,
            "The executor could not work and tries again in %.1f s: %s",
            wait,
            error,
            error=error,
            executor=self._executor_name,
        )
        discard_connection(self._database.using)
        self._stopping.wait(wait)
