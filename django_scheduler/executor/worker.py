"""A worker: one thread that claims a function and executes it, again and again.

Workers take turns in looking out and claiming: whoever has claimed hands the turn on and executes, while the next
one looks. On SQLite, where one writer keeps the others waiting, the turn is handed on after the commit.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from django.db import transaction

from django_scheduler.databases import Claimable, Database, Lane
from django_scheduler.executor.action import ActionExecution
from django_scheduler.executor.execution import Execution
from django_scheduler.executor.log import log
from django_scheduler.executor.lookout import Lookout
from django_scheduler.executor.missing import MissingExecution
from django_scheduler.executor.mutation import MutationExecution
from django_scheduler.executor.session import discard_connection, executor_session, tidy_connections
from django_scheduler.models import Kind
from django_scheduler.registry import registry

#: The waits after a failure to look or to claim, in seconds.
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0


class Worker:
    def __init__(
        self,
        *,
        database: Database,
        lookout: Lookout,
        turn: threading.Lock,
        stopping: threading.Event,
        executor_name: str,
        executing: Callable[[], list[Execution]],
    ) -> None:
        self._database = database
        self._lookout = lookout
        self._turn = turn
        self._stopping = stopping
        self._executor_name = executor_name
        self._executing = executing
        self._wait_after_failure = FIRST_WAIT
        #: What it executes now.
        self.execution: Execution | None = None

    def run(self) -> None:
        """Work until there is nothing left to do, or the executor stops."""
        with executor_session(self._database):
            while self._take_turn():
                pass

    def _take_turn(self) -> bool:
        with ExitStack() as turn:
            turn.enter_context(self._turn)
            try:
                lanes = self._lookout.due_lanes(besides=self._executing_ids)
                if lanes is None:
                    return False
                self._execute_next(lanes, hand_on_turn=turn.close)
                self._wait_after_failure = FIRST_WAIT
            except BaseException as error:
                if not self._database.is_conflict(error):
                    self._recover_from(error)
        return True

    def _execute_next(self, lanes: list[Lane], *, hand_on_turn: Callable[[], None]) -> None:
        try:
            with transaction.atomic(using=self._database.using, durable=True):
                claimed = self._claim(lanes)
                if claimed is not None:
                    self.execution = self._execution_of(claimed)
                    if not self._database.has_one_writer:
                        hand_on_turn()
                    self.execution.in_transaction()
        except BaseException as error:
            if self.execution is None:
                raise
            hand_on_turn()
            with self._ending():
                self.execution.after_rollback(error)
            self._lookout.ring()  # for the time of the retry
        else:
            if self.execution is None:
                self._lookout.found_all_locked(lanes)
                return
            hand_on_turn()
            with self._ending():
                self.execution.after_commit()

    @contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.execution = None
            self._lookout.function_ended()
            tidy_connections(self._database.using)

    def _claim(self, lanes: list[Lane]) -> Claimable | None:
        executing = self._executing_ids()
        for lane in lanes:
            if claimed := self._database.claim(lane, besides=executing):
                return claimed
        return None

    def _executing_ids(self) -> list[int]:
        # What a worker of this process executes is locked, except for the moment between its rollback and the
        # record of why. Others may run it once more in that moment, to no effect; we need not.
        return [execution.id for execution in self._executing()]

    def _execution_of(self, claimed: Claimable) -> Execution:
        function = registry.find(claimed.name)
        if function is None:
            return MissingExecution(claimed, self._database, self._executor_name)
        kind = MutationExecution if function.kind is Kind.MUTATION else ActionExecution
        return kind(claimed, self._database, self._executor_name, function)

    def _recover_from(self, error: BaseException) -> None:
        log(
            logging.ERROR,
            "The executor could not work and tries again in %.1f s: %s",
            self._wait_after_failure,
            error,
            error=error,
            executor=self._executor_name,
        )
        discard_connection(self._database.using)
        self._stopping.wait(self._wait_after_failure)
        self._wait_after_failure = min(self._wait_after_failure * 2, LONGEST_WAIT)
