"""Let transactions begin, commit and roll back inside of a ``TestCase``, whose own transaction never commits.

A function that is executed in a test must behave as in production: an action runs outside of any transaction, where
an error of the database ends one statement and not everything; ``atomic`` begins a transaction and commits it; hooks
of ``on_commit`` run then, in order; a deferred constraint is checked then. So Django is told that no transaction is
open, and the transactions that it begins, commits and rolls back are savepoints. Everything else is Django's own code.

Without a transaction around the test, as in a ``TransactionTestCase``, nothing of this is needed.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from django_scheduler.databases import VENDORS, connection_state, database_for

TRANSACTION = "django_scheduler_transaction"
STATEMENT = "django_scheduler_statement"


@contextmanager
def real_transactions() -> Iterator[None]:
    """Let the outermost ``atomic`` be a transaction, on every connection of this thread."""
    with ExitStack() as pretending:
        for connection in connections.all(initialized_only=True):
            if connection_state.is_in_atomic_block(connection) and connection.vendor in VENDORS:
                pretending.enter_context(_pretended_on(connection))
        yield


@contextmanager
def _pretended_on(connection: BaseDatabaseWrapper) -> Iterator[None]:
    savepoints = _Savepoints(connection)
    methods = {
        "_set_autocommit": savepoints.set_autocommit,
        "_start_transaction_under_autocommit": savepoints.begin,
        "_commit": savepoints.commit,
        "_rollback": savepoints.roll_back,
        "close": lambda: None,  # the test's transaction would be gone
    }
    with connection_state.pretending_to_be_new(connection, methods):
        try:
            with connection.execute_wrapper(savepoints.around_statement):
                yield
        finally:
            savepoints.roll_back()  # what a body has begun by hand and has not ended


class _Savepoints:
    """Uses savepoints as the transactions of one connection."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._is_open = False
        self._protects_statements = database_for(connection.alias).an_error_breaks_the_transaction

    def set_autocommit(self, autocommit: bool) -> None:
        if not autocommit:
            self.begin()
        elif self._is_open:
            self.commit()

    def begin(self) -> None:
        self._create(TRANSACTION)
        self._is_open = True

    def commit(self) -> None:
        if self._connection.features.can_defer_constraint_checks:
            self._connection.check_constraints()
        self._release(TRANSACTION)
        self._is_open = False

    def roll_back(self) -> None:
        if self._is_open:
            self._undo(TRANSACTION)
            self._is_open = False

    def around_statement(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        """Outside of a transaction, let a statement that fails undo nothing but itself."""
        if self._is_open or not self._protects_statements:
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
            closing(connection_state.driver_of(self._connection).cursor()) as cursor,
        ):
            cursor.execute(sql)
