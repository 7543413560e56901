"""Execute one function as a worker does, but in the test's own thread and on its connection.

It must behave as in production, also inside of a ``TestCase``, whose own transaction never commits: an action runs
outside of any transaction, where an error of the database ends one statement and not everything; ``atomic`` begins a
transaction and commits it; hooks of ``on_commit`` run then, in order; a deferred constraint is checked then. So Django
is told that no transaction is open, and the transactions that it begins, commits and rolls back are savepoints.
Everything else is Django's own code.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import async_to_sync
from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from django_scheduler.context import Context
from django_scheduler.databases import VENDORS, Claimable, Database, database_for, django_internals
from django_scheduler.errors import BrokenTransaction, FunctionNotFound
from django_scheduler.executor import (
    ActionExecution,
    Budget,
    ExpiredExecution,
    MissingExecution,
    MutationExecution,
    SingleExecution,
    has_expired,
)
from django_scheduler.functions import registry
from django_scheduler.models import Failure, Kind, State
from django_scheduler.scheduling import calls

P = ParamSpec("P")
T = TypeVar("T")

EXECUTOR_NAME = "test"

#: The names of savepoints.
TRANSACTION, STATEMENT = "django_scheduler_transaction", "django_scheduler_statement"


def execute(database: Database, function_id: int) -> "ExecutionInTest | None":
    """Execute a function and return its execution; return ``None`` if it is not due, or not pending."""
    execution: ExecutionInTest | None = None
    error: BaseException | None = None
    try:
        with committing():
            try:
                with transaction.atomic(using=database.using, durable=True):
                    claimed = database.claim_again(function_id)
                    if claimed is None:
                        return None
                    execution = _execution_of(claimed, database)
                    execution.in_transaction()
            except BaseException as caught:
                if execution is None:
                    raise
                error = caught
    except BrokenTransaction as ended:  # that of the test
        if execution is not None:
            execution.collect(ended)
        raise
    with committing():  # another one: it rolled back what the body had begun by hand
        if error is None:
            execution.after_commit()
        else:
            execution.after_rollback(error)
    return execution


class ExecutionInTest(SingleExecution):
    """Collects the errors that an executor would log: of the body, and of the hooks of its transaction."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.problems: list[BaseException] = []
        #: Otherwise it may be pending again.
        self.has_ended = False

    @property
    def may_be_left(self) -> bool:
        return False  # there is no other code in a test

    def until_answered(self, ask: Callable[[], bool], problem: str, **options: Any) -> bool:
        return ask()  # it is not asked again: a database error fails the test

    def announce(
        self, state: State, failure: Failure | None = None, error: BaseException | None = None, *, detail: str = ""
    ) -> None:
        super().announce(state, failure, error, detail=detail)
        self.has_ended = True
        self.collect(error)

    def log(
        self, level: int, message: str, *arguments: object, error: BaseException | None = None, **extra: Any
    ) -> None:
        super().log(level, message, *arguments, error=error, **extra)
        if level >= logging.ERROR:
            self.collect(error)

    def forget(self, error: BaseException) -> None:
        """Keep all of it: it is raised in the test."""

    def collect(self, error: BaseException | None) -> None:
        """Name the function in its error, and keep it."""
        if error is not None:
            error.add_note(f"The scheduled function was {self.name} {self.id}.")
            self.problems.append(error)


class UnenforcedBudget(Budget):
    """Lets a body take as long as it likes, for instance in a debugger; ``ctx`` knows its deadline."""

    def __init__(self, timeout: timedelta | None) -> None:
        super().__init__(timeout, lambda *args: None)

    def call(self, body: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return body(*args, **kwargs)


class MutationInTest(ExecutionInTest, MutationExecution):
    def make_budget(self) -> Budget:
        return UnenforcedBudget(self.function.timeout)


class ActionInTest(ExecutionInTest, ActionExecution):
    def make_budget(self) -> Budget:
        return UnenforcedBudget(self.function.timeout)

    def after_rollback(self, error: BaseException) -> None:
        raise error

    def run_body(self, arguments: dict[str, object]) -> Any:
        if self.function.is_async:
            # The ORM's async methods come back to this thread, and so to the test's connection.
            return async_to_sync(calls.run_async_body)(self.function, arguments, Context(self.as_running()))
        return super().run_body(arguments)

    def _record_in_background(self, problem: BaseException, what: str, end: Callable[[], object]) -> None:
        raise problem


class MissingInTest(ExecutionInTest, MissingExecution):
    def after_commit(self) -> None:
        super().after_commit()
        try:
            registry.get(self.name)
        except FunctionNotFound as error:
            self.problems.append(error)


class ExpiredInTest(ExecutionInTest, ExpiredExecution):
    """Is no problem of the test: it has let so much time pass."""


def _execution_of(claimed: Claimable, database: Database) -> ExecutionInTest:
    if has_expired(claimed, database):
        return ExpiredInTest(claimed, database, EXECUTOR_NAME)
    function = registry.find_recorded(claimed.name, claimed.kind)
    if function is None:
        return MissingInTest(claimed, database, EXECUTOR_NAME)
    kind = MutationInTest if function.kind is Kind.MUTATION else ActionInTest
    return kind(claimed, database, EXECUTOR_NAME, function)


@contextmanager
def committing() -> Iterator[None]:
    """Have the outermost ``atomic`` act like a transaction that commits, on every connection of this thread.

    Without a transaction around the test, as in a ``TransactionTestCase``, this does nothing.
    """
    with ExitStack() as pretending:
        for connection in connections.all(initialized_only=True):
            if django_internals.is_in_atomic_block(connection) and connection.vendor in VENDORS:
                pretending.enter_context(_pretended_on(connection))
        yield


@contextmanager
def _pretended_on(connection: BaseDatabaseWrapper) -> Iterator[None]:
    savepoints = _Savepoints(connection)
    with django_internals.pretending_to_be_new(connection, savepoints):
        try:
            with connection.execute_wrapper(savepoints.around_statement):
                yield
        finally:
            try:
                savepoints.roll_back()  # what a body has begun by hand and has not ended
            except DatabaseError as error:
                raise BrokenTransaction(
                    "The function has ended the transaction of the test itself, by a statement such as COMMIT. Run it"
                    " in a TransactionTestCase."
                ) from error


class _Savepoints:
    """Uses savepoints as the transactions of one connection."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._is_open = False
        self._database = database_for(connection.alias)

    def set_autocommit(self, autocommit: bool) -> None:
        if not autocommit:
            self.begin()
        elif self._is_open:
            self.commit()

    def begin(self) -> None:
        self._create(TRANSACTION)
        self._is_open = True

    def commit(self) -> None:
        release = self._connection.ops.savepoint_commit_sql(TRANSACTION)
        if self._database.deferred_checks:
            release = f"{self._database.deferred_checks}; {release}"
        elif self._connection.features.can_defer_constraint_checks:
            self._connection.check_constraints()
        self._execute(release)
        self._is_open = False

    def roll_back(self) -> None:
        if self._is_open:
            self._undo(TRANSACTION)
            self._is_open = False

    def around_statement(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        """Outside of a transaction, let a statement that fails undo nothing but itself."""
        if self._is_open or not self._database.an_error_breaks_the_transaction:
            return execute(sql, params, many, context)
        self._create(STATEMENT)
        try:
            result = execute(sql, params, many, context)
        except BaseException:
            self._undo(STATEMENT)
            raise
        self._release(STATEMENT)
        return result

    def _create(self, savepoint: str) -> None:
        self._execute(self._connection.ops.savepoint_create_sql(savepoint))

    def _release(self, savepoint: str) -> None:
        self._execute(self._connection.ops.savepoint_commit_sql(savepoint))

    def _undo(self, savepoint: str) -> None:
        self._execute(self._connection.ops.savepoint_rollback_sql(savepoint))
        self._release(savepoint)

    def _execute(self, sql: str) -> None:
        # Straight to the driver: no wrapper sees it, and assertNumQueries does not count it.
        with (
            self._connection.wrap_database_errors,
            closing(django_internals.driver_of(self._connection).cursor()) as cursor,
        ):
            cursor.execute(sql)
