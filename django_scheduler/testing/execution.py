"""Execute one function as a worker does, but in the test's own thread and on its connection."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from asgiref.sync import async_to_sync
from django.db import transaction
from django.utils import timezone

from django_scheduler.context import Context
from django_scheduler.databases import Claimable, Database
from django_scheduler.errors import FunctionNotFound
from django_scheduler.executor import ActionExecution, Budget, MissingExecution, MutationExecution, SingleExecution
from django_scheduler.functions import registry
from django_scheduler.models import Failure, Kind, ScheduledFunction, State
from django_scheduler.scheduling import run_async_body
from django_scheduler.testing.transactions import real_transactions

T = TypeVar("T")

EXECUTOR_NAME = "test"


def execute(database: Database, function_id: int) -> list[BaseException] | None:
    """Execute a function that is due and return its errors; return ``None`` if it is not due, or not pending."""
    execution: Problems | None = None
    error: BaseException | None = None
    with real_transactions():
        try:
            with transaction.atomic(using=database.using, durable=True):
                claimed = _claim(database, function_id)
                if claimed is None:
                    return None
                execution = _execution_of(claimed, database)
                execution.in_transaction()
        except BaseException as caught:
            if execution is None:
                raise
            error = caught
    with real_transactions():  # another one: it rolled back what the body had begun by hand
        if error is None:
            execution.after_commit()
        else:
            execution.after_rollback(error)
    return execution.problems


class Problems(SingleExecution):
    """Collects the errors that an executor would log: of the body, and of the hooks of its transaction."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.problems: list[BaseException] = []

    def announce(self, state: State, failure: Failure | None = None, error: BaseException | None = None) -> None:
        super().announce(state, failure, error)
        self._collect(error)

    def log(
        self, level: int, message: str, *arguments: object, error: BaseException | None = None, **extra: Any
    ) -> None:
        super().log(level, message, *arguments, error=error, **extra)
        if level >= logging.ERROR:
            self._collect(error)

    def _collect(self, error: BaseException | None) -> None:
        if error is not None:
            error.add_note(f"The scheduled function was {self.name} {self.id}.")
            self.problems.append(error)


class UnenforcedBudget(Budget):
    """Lets a body take as long as it likes, for instance in a debugger; ``ctx`` knows its deadline."""

    def __init__(self, timeout: timedelta | None) -> None:
        super().__init__(timeout, interrupt=lambda: None, give_up=lambda: None)

    def call(self, body: Callable[[], T]) -> T:
        return body()


class MutationInTest(Problems, MutationExecution):
    def make_budget(self) -> Budget:
        return UnenforcedBudget(self.function.timeout)


class ActionInTest(Problems, ActionExecution):
    def make_budget(self) -> Budget:
        return UnenforcedBudget(self.function.timeout)

    def after_rollback(self, error: BaseException) -> None:
        raise error

    def run_body(self, arguments: dict[str, object], context: Context) -> Any:
        if self.function.is_async:
            # The ORM's async methods come back to this thread, and so to the test's connection.
            return async_to_sync(run_async_body)(self.function, arguments, context)
        return super().run_body(arguments, context)

    def _until_answered(self, ask: Callable[[], bool], problem: str) -> bool:
        return ask()  # it is not asked again: a database error fails the test


class MissingInTest(Problems, MissingExecution):
    def after_commit(self) -> None:
        super().after_commit()
        try:
            registry.get(self.name)
        except FunctionNotFound as error:
            self.problems.append(error)


def _claim(database: Database, function_id: int) -> Claimable | None:
    due = ScheduledFunction.objects.using(database.using).filter(pk=function_id, due_time__lte=timezone.now())
    return database.claim_again(function_id) if due.exists() else None


def _execution_of(claimed: Claimable, database: Database) -> Problems:
    function = registry.find_recorded(claimed.name, claimed.kind)
    if function is None:
        return MissingInTest(claimed, database, EXECUTOR_NAME)
    kind = MutationInTest if function.kind is Kind.MUTATION else ActionInTest
    return kind(claimed, database, EXECUTOR_NAME, function)
