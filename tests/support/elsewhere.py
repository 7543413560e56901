"""Somebody else: another thread, and with it other connections to the database."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from django.db import connections

T = TypeVar("T")

#: How long anything that should happen at once may take on a busy machine, in seconds.
LONG_ENOUGH = 30


def elsewhere(work: Callable[[], T]) -> T:
    """Return or raise what ``work`` does in another thread."""
    with meanwhile(work) as result:
        return result.result(timeout=LONG_ENOUGH)


@contextmanager
def meanwhile(work: Callable[[], T]) -> Iterator[Future[T]]:
    """Have ``work`` go on in another thread while the block runs; the block's end waits for it."""

    def work_and_disconnect() -> T:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(work_and_disconnect)
