"""An execution: what a worker has claimed, and the three moments at which its kind has a say."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import Any

from django.db import DatabaseError

from django_scheduler import signals
from django_scheduler.databases import Claimable, Database
from django_scheduler.error_record import plainer
from django_scheduler.log import log_of_executors as log
from django_scheduler.models import Failure, Kind, ScheduledFunction, ScheduledFunctionId, State


class Execution(ABC):
    """What a worker does with rows that it has locked, in the transaction that holds the locks, and after it."""

    #: Lets other workers go on, should a body never end; the worker sets it.
    let_go: Callable[[], None] = staticmethod(lambda: None)

    #: For how long its worker keeps the turn once it has begun, in seconds, if it does not end it before.
    keeps_turn_for = 0.0

    @property
    @abstractmethod
    def ids(self) -> Collection[ScheduledFunctionId]:
        """The functions that it executes."""

    @abstractmethod
    def in_transaction(self) -> None:
        """While the row is locked. An exception rolls the transaction back."""

    @abstractmethod
    def after_commit(self) -> None:
        """Once that transaction has committed."""

    @abstractmethod
    def after_rollback(self, error: BaseException) -> None:
        """Once ``error`` has ended it: rolled back, unless it was lost on the way out of COMMIT."""


class SingleExecution(Execution):
    """The execution of one function."""

    def __init__(self, claimed: Claimable, database: Database, executor_name: str) -> None:
        self.claimed = claimed
        self.database = database
        self.executor_name = executor_name
        self._claimed_at = self.began = time.perf_counter()
        self._took: float | None = None

    def begin(self) -> None:
        """Its body begins only now: others of its transaction have gone before."""
        self.began = time.perf_counter()

    def end(self) -> None:
        """Its body has ended, and others of its transaction follow."""
        self._took = time.perf_counter() - self.began

    @property
    def lag(self) -> float:
        """How long it had been due when its body began, in seconds."""
        return self.claimed.lag + self.began - self._claimed_at

    @property
    def duration(self) -> float:
        """How long the attempt has taken, in seconds."""
        return self._took if self._took is not None else time.perf_counter() - self.began

    @property
    def ids(self) -> Collection[ScheduledFunctionId]:
        return [self.id]

    @property
    def id(self) -> ScheduledFunctionId:
        return self.claimed.id

    @property
    def name(self) -> str:
        return self.claimed.name

    @property
    def kind(self) -> Kind | None:
        """``None``: there is no such function."""
        return None

    @property
    def attempt(self) -> int:
        """Which attempt this is, counted from 1."""
        return self.claimed.attempts + 1

    def record(self, changes: dict[str, Any], *, only_if: dict[str, Any], unless_held: bool = False) -> bool:
        """Change the row, outside of a transaction, if it still is as expected; whether it was."""
        record = self.database.record_unless_held if unless_held else self.database.record
        while True:
            try:
                return record(self.id, changes, only_if=only_if)
            except DatabaseError as error:
                if self.database.is_conflict(error):
                    continue  # somebody else has changed the row meanwhile: look again
                if self.database.is_transient(error) or changes == plainer(changes):
                    raise
                changes = plainer(changes)

    def current_row(self) -> dict[str, Any]:
        """What the record says now; empty if it is gone."""
        rows = ScheduledFunction.objects.using(self.database.using).filter(pk=self.id)
        row = rows.values("state", "worker", "attempts").first()
        return dict(row) if row else {}

    def log_end(self, state: State, failure: Failure | None = None, error: BaseException | None = None) -> None:
        self.log(
            logging.ERROR if state is State.FAILED else logging.INFO,
            "%s %s: %s%s, took %.3f s, began %.3f s after it was due",
            self.name,
            self.id,
            state.value,
            f" ({failure.value})" if failure else "",
            self.duration,
            self.lag,
            error=error,
            state=state.value,
            failure=failure.value if failure else "",
        )
        signals.send(
            signals.function_finished,
            **self._as_told(),
            state=state.value,
            failure=failure.value if failure else "",
            duration=self.duration,
        )

    def _as_told(self) -> dict[str, Any]:
        """What receivers of signals are told of it in any case."""
        return {
            "function_id": self.id,
            "name": self.name,
            "kind": self.kind.value if self.kind else "",
            "attempt": self.attempt,
            "lag": self.lag,
            "executor": self.executor_name,
            "using": self.database.using,
        }

    def log_dropped(self, what: str) -> None:
        """Somebody else has decided meanwhile: a cancel, or an executor that thought this one gone."""
        self.log(
            logging.WARNING,
            "%s %s: %s is dropped, because the function is already %s",
            self.name,
            self.id,
            what,
            self.current_row().get("state", "deleted"),
        )

    def log(
        self, level: int, message: str, *arguments: object, error: BaseException | None = None, **extra: Any
    ) -> None:
        log(
            level,
            message,
            *arguments,
            error=error,
            function=self.name,
            function_id=self.id,
            attempt=self.attempt,
            executor=self.executor_name,
            lag=self.lag,
            duration=self.duration,
            **extra,
        )
