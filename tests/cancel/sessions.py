"""Other sessions: threads of this process with a database connection each, in which a test does things one by one."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from django.db import connections, transaction

#: Nothing that a session is asked to do takes longer, in seconds.
LONGEST_WAIT = 30.0


class Session:
    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._atomic: Any = None

    def begin(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> "Future[Any]":
        """Have something done, and do not wait for it."""
        return self._thread.submit(function, *args, **kwargs)

    def do(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Have something done."""
        return self.begin(function, *args, **kwargs).result(LONGEST_WAIT)

    def execute(self, sql: str, *params: Any) -> list[Any]:
        """Have a statement executed; its rows."""

        def execute() -> list[Any]:
            with connections["default"].cursor() as cursor:
                cursor.execute(sql, params)
                return list(cursor.fetchall()) if cursor.description else []

        return list(self.do(execute))

    def open_transaction(self) -> None:
        self._atomic = transaction.atomic()
        self.do(self._atomic.__enter__)

    def commit(self) -> None:
        atomic, self._atomic = self._atomic, None
        self.do(atomic.__exit__, None, None, None)

    def roll_back(self) -> None:
        self.do(transaction.set_rollback, True)
        self.commit()

    def close(self) -> None:
        if self._atomic is not None:
            self.roll_back()
        self.do(connections.close_all)
        self._thread.shutdown()
