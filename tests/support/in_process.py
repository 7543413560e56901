"""Executors in the process of the test, which can look at what a body sees, and hold it up."""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from django_scheduler.databases import database_for
from django_scheduler.executor.claim_lock import ClaimLock
from django_scheduler.executor.claim_policy import GroupingPolicy, LeftToOthers, PutOff, RetryStorm
from django_scheduler.executor.executor import Executor
from django_scheduler.executor.limit_watch import LimitWatch
from django_scheduler.executor.poller import Poller, Until
from django_scheduler.executor.second_session import SecondSession
from django_scheduler.executor.worker import Worker
from django_scheduler.record import wakeup

WORKER = "django_scheduler worker"


@contextmanager
def executing(
    *, concurrency: int = 2, queues: Collection[str] = (), until: Until = Until.STOPPED
) -> Iterator[Executor]:
    """Yield an executor that runs within the block, and has ended after it."""
    executor = Executor(concurrency=concurrency, queues=queues, until=until)
    executor.start()
    try:
        yield executor
    finally:
        executor.stop()
        assert executor.wait(timeout=20)


@contextmanager
def one_worker(until: Until = Until.NOTHING_DUE) -> Iterator[Worker]:
    """Yield one worker of an executor, without the executor; its ``run`` is left to the test."""
    database = database_for("default")
    stopping = threading.Event()

    def executing_ids() -> list[int]:
        return list(worker.execution.ids) if worker.execution else []

    put_off, left_to_others = PutOff(), LeftToOthers()
    poller = Poller(
        database,
        queues=(),
        until=until,
        stopping=stopping,
        executing_ids=executing_ids,
        put_off=put_off,
        left_to_others=left_to_others,
    )
    worker = Worker(
        database=database,
        poller=poller,
        claim_lock=ClaimLock(),
        stopping=stopping,
        executor_name="the worker of a test",
        executing_ids=executing_ids,
        grouping_policy=GroupingPolicy(),
        put_off=put_off,
        left_to_others=left_to_others,
        retry_storm=RetryStorm(),
        limit_watch=LimitWatch(database, stopping),
        second_session=SecondSession(database),
    )
    wakeup.subscribe("default", poller.wake_up)
    try:
        yield worker
    finally:
        stopping.set()
        poller.wake_up()
        worker.second_session.stop()
        wakeup.unsubscribe("default", poller.wake_up)


def execute_with_one_worker(until: Until = Until.NOTHING_DUE) -> None:
    """Execute what is due with one worker of an executor, in a thread of its own."""
    with one_worker(until) as worker:
        thread = threading.Thread(target=worker.run, name=WORKER, daemon=True)
        thread.start()
        thread.join(20)
        assert not thread.is_alive(), "What was due has not come to an end."


@contextmanager
def threads_may_connect() -> Iterator[None]:
    """Let threads use an alias that Django's test case does not know."""
    of_test: Any = BaseDatabaseWrapper.ensure_connection
    contents = [each.cell_contents for each in of_test.__closure__]
    (own,) = [each for each in contents if getattr(each, "__name__", "") == "ensure_connection"]
    BaseDatabaseWrapper.ensure_connection = own  # type: ignore[method-assign]
    try:
        yield
    finally:
        BaseDatabaseWrapper.ensure_connection = of_test  # type: ignore[method-assign]
