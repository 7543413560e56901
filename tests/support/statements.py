"""What happens to statements on their way to the database, through the wrappers that Django offers for that."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.db.backends.signals import connection_created


@contextmanager
def statements_through(wrapper: Callable[..., Any]) -> Iterator[None]:
    """Have statements of this thread, and of threads that connect within the block, go through the wrapper."""

    def receive(connection: Any, **kwargs: object) -> None:
        if wrapper not in connection.execute_wrappers:  # it may connect again and again
            connection.execute_wrappers.append(wrapper)

    connection.execute_wrappers.append(wrapper)
    connection_created.connect(receive)
    try:
        yield
    finally:
        connection_created.disconnect(receive)
        connection.execute_wrappers.remove(wrapper)


@contextmanager
def failing(
    matches: Callable[[str, Any], bool], error: BaseException, *, times: int | None = None
) -> Iterator[list[str]]:
    """Have statements that match raise the error: all of them, or so many. Yield a list of those that did."""
    failed: list[str] = []
    lock = threading.Lock()

    def fail(execute: Callable[..., Any], sql: str, params: Any, *arguments: Any) -> Any:
        with lock:
            fails = matches(sql, params) and (times is None or len(failed) < times)
            if fails:
                failed.append(sql)
        if fails:
            raise error.with_traceback(None)  # which would otherwise show every place where it was raised before
        return execute(sql, params, *arguments)

    with statements_through(fail):
        yield failed
