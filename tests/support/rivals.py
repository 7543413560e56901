"""Transactions that get in the way of a mutation: each in a thread and a connection of its own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection, connections, transaction

from tests.models import Account, Entry
from tests.support.waiting import wait_until


def _working(work: Callable[[], object]) -> Callable[[], object]:
    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    return run


@contextmanager
def holding(account: Account) -> Iterator[None]:
    """Have another transaction hold the account's lock within the block."""
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Account.objects.filter(pk=account.pk).update(balance=1)
            held.set()
            release.wait(20)

    thread = threading.Thread(target=_working(hold))
    thread.start()
    try:
        assert held.wait(20)
        yield
    finally:
        release.set()
        thread.join(20)


class Deadlock:
    """Is another transaction that takes two accounts in the other order. The database stops the mutation, not this."""

    def __init__(self, first: int, second: int) -> None:
        self._first, self._second = first, second
        self._has_second, self._may_want_first = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=_working(self._run))

    def _run(self) -> None:
        with transaction.atomic():
            # MariaDB stops the transaction that has written less.
            Entry.objects.bulk_create([Entry(label="rival") for _ in range(50)])
            Account.objects.filter(pk=self._second).update(balance=2)
            self._has_second.set()
            assert self._may_want_first.wait(20)
            Account.objects.filter(pk=self._first).update(balance=2)

    def meet(self) -> None:
        """Raise the database's error; for the mutation to call in its transaction."""
        Account.objects.filter(pk=self._first).update(balance=3)
        self._thread.start()
        assert self._has_second.wait(20)
        self._may_want_first.set()
        if connection.vendor == "postgresql":
            self._be_the_one_that_looks_for_a_deadlock()
        Account.objects.filter(pk=self._second).update(balance=3)
        raise AssertionError("there was no deadlock")

    def end(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _be_the_one_that_looks_for_a_deadlock(self) -> None:
        wait_until(self._is_waiting, "the other transaction waits for the first account")
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL deadlock_timeout = '10ms'")

    def _is_waiting(self) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))")
            return cursor.fetchone() is not None
