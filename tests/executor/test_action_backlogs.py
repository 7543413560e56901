"""Actions of a backlog begin in one transaction, as many as there are idle workers, and each in a worker of its own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from django_scheduler import Context, action, ctx, mutation
from django_scheduler.databases import TABLE
from django_scheduler.executor.executor import Executor
from django_scheduler.models import ScheduledFunction, ScheduledFunctionId, State
from tests.executor.test_ambiguous_commits import (
    commit_after_losing,
    lose_after_commit,
    lose_answer,
    lose_before_commit,
)
from tests.support.gates import Gate
from tests.support.in_process import WORKER, executing
from tests.support.records import record
from tests.support.statements import failing, statements_through
from tests.support.waiting import wait_until

WORKERS = 4

starts: list[int | None] = []


@pytest.fixture(autouse=True)
def _no_starts():
    starts.clear()


@action
def begin_with_others(ctx: Context) -> int:
    starts.append(ctx.function_id)
    return 1


@action
def begin_and_wait(ctx: Context, *, gate: str) -> None:
    starts.append(ctx.function_id)
    Gate(gate).pass_through()


@mutation
def come_after_actions(ctx: Context) -> None:
    starts.append(ctx.function_id)


def in_state(state: State) -> int:
    return ScheduledFunction.objects.filter(state=state).count()


@contextmanager
def workers_that_know_actions() -> Iterator[Executor]:
    """An executor whose workers are idle, and have met actions before."""
    with executing(concurrency=WORKERS) as executor:
        for _ in range(2):
            begin_alone(executor)
        starts.clear()
        ScheduledFunction.objects.all().delete()
        yield executor


def begin_alone(executor: Executor) -> None:
    function_id = ctx.scheduler.run_after(0, begin_with_others)
    wait_until(lambda: record(function_id).state == State.SUCCESS, "it succeeded")
    wait_until_idle(executor)


def wait_until_idle(executor: Executor) -> None:
    """One worker looks; the others wait until it has claimed something."""
    wait_until(lambda: executor._claim_lock.idle == WORKERS - 1, "the workers were idle")


class Costs:
    """Counts what the workers of an executor ask the database to do.

    ``commits``: those of transactions in which something was changed. A claim that finds nothing has one, too, and may
    come at any time: somebody is told of a function when others have executed it already.
    """

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.commits = 0
        self._changed: set[BaseDatabaseWrapper] = set()
        self._lock = threading.Lock()

    def note_statement(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        if TABLE in sql and threading.current_thread().name.startswith(WORKER):
            with self._lock:
                self.statements.append(sql.split()[0])
                if sql.startswith("UPDATE") and context["connection"].in_atomic_block:
                    self._changed.add(context["connection"])
        return execute(sql, params, many, context)

    def note_commit(self, connection: BaseDatabaseWrapper) -> None:
        with self._lock:
            self.commits += connection in self._changed
            self._changed.discard(connection)


@pytest.fixture
def costs(monkeypatch) -> Iterator[Costs]:
    costs = Costs()
    commit = BaseDatabaseWrapper.commit

    def note_and_commit(connection: BaseDatabaseWrapper) -> None:
        costs.note_commit(connection)
        commit(connection)

    monkeypatch.setattr(BaseDatabaseWrapper, "commit", note_and_commit)
    with statements_through(costs.note_statement):
        yield costs


def test_actions_of_a_backlog_share_the_transaction_in_which_they_begin(transactional_db, costs):
    with workers_that_know_actions():
        costs.statements.clear()
        costs.commits = 0
        # Due later: a worker that is told late of what is executed already looks for it, and is not idle meanwhile.
        ids = ctx.scheduler.run_after_many(0.5, begin_with_others, [{}] * WORKERS)
        wait_until(lambda: in_state(State.SUCCESS) == WORKERS, "all of them succeeded")

    assert sorted(filter(None, starts)) == ids
    # One to begin all, in the transaction of the claim; and one to end each, which commits by itself.
    assert costs.statements.count("UPDATE") == 1 + WORKERS
    assert costs.commits == 1


def test_action_alone_costs_a_claim_and_two_updates(transactional_db, costs):
    function_id = ctx.scheduler.run_after(0, begin_with_others)
    with executing(concurrency=1):
        wait_until(lambda: record(function_id).state == State.SUCCESS, "it succeeded")

    assert costs.statements.count("UPDATE") == 2
    assert costs.commits == 1


def test_no_more_actions_begin_than_there_are_idle_workers(transactional_db, gate):
    with workers_that_know_actions() as executor:
        ctx.scheduler.run_after(0, begin_and_wait, gate=gate.path)
        wait_until(lambda: gate.arrivals == 1, "one was busy")
        wait_until(lambda: executor._claim_lock.idle == WORKERS - 2, "the others were idle")

        ids = ctx.scheduler.run_after_many(0, begin_and_wait, [{"gate": gate.path}] * (WORKERS + 2))
        wait_until(lambda: gate.arrivals == WORKERS, "each worker executed one")

        assert (in_state(State.IN_PROGRESS), in_state(State.PENDING)) == (WORKERS, 3)
        assert len(executor._executing_ids()) == WORKERS
        assert sorted(filter(None, starts[1:])) == ids[:3]
        gate.open()
        wait_until(lambda: in_state(State.SUCCESS) == WORKERS + 3, "all of them succeeded")
    assert len(starts) == len({*starts}) == WORKERS + 3


def test_an_action_that_takes_long_keeps_none_waiting_that_has_begun_with_it(transactional_db, gate):
    with workers_that_know_actions():
        with transaction.atomic():
            slow = ctx.scheduler.run_after(0, begin_and_wait, gate=gate.path)
            others = ctx.scheduler.run_after_many(0, begin_with_others, [{}] * 10)
        wait_until(lambda: in_state(State.SUCCESS) == len(others), "the others succeeded")
        assert record(slow).state == State.IN_PROGRESS
        gate.open()


def test_a_mutation_behind_actions_is_executed_like_any(transactional_db):
    with workers_that_know_actions():
        with transaction.atomic():
            for _ in range(5):
                ctx.scheduler.run_after(0, begin_with_others)
                ctx.scheduler.run_after(0, come_after_actions)
                ctx.scheduler.run_after(0, begin_with_others)
        wait_until(lambda: in_state(State.SUCCESS) == 15, "all of them succeeded")
    assert len(starts) == len({*starts}) == 15


def test_actions_whose_begin_is_refused_begin_together_later(transactional_db, caplog):
    is_armed = threading.Event()

    def begins(sql: str, params: Any) -> bool:
        return is_armed.is_set() and sql.startswith("UPDATE") and State.PENDING in params

    with failing(begins, OperationalError("the disk is full"), times=1) as failed, workers_that_know_actions():
        is_armed.set()
        ids = ctx.scheduler.run_after_many(0, begin_with_others, [{}] * WORKERS)
        wait_until(lambda: in_state(State.SUCCESS) == WORKERS, "all of them succeeded")

    assert len(failed) == 1
    assert sorted(filter(None, starts)) == ids
    messages = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert len(messages) == 1
    assert "the disk is full" in messages[0]


@pytest.fixture
def lose_next_commit() -> Iterator[Callable[[Callable[[Any], None]], None]]:
    """Loses the answer to the next COMMIT with which a worker has something begin, and not to that of a late look."""
    losses: list[Callable[[Any], None]] = []
    begins = threading.local()

    def note_begin(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        begins.now = sql.startswith("UPDATE")
        return execute(sql, *arguments)

    def receive(connection: Any, **kwargs: object) -> None:
        driver = connection.connection
        original = driver.commit

        def commit() -> None:
            driver.commit = original
            if losses and begins.now:
                lose_answer(driver, losses.pop())
            driver.commit()
            driver.commit = commit

        if threading.current_thread().name.startswith(WORKER):
            driver.commit = commit

    connection_created.connect(receive)
    with statements_through(note_begin):
        yield losses.append
    connection_created.disconnect(receive)
    assert not losses


@pytest.mark.only_on("postgresql", "mysql")
@pytest.mark.parametrize("how", [lose_after_commit, commit_after_losing, lose_before_commit])
def test_actions_that_may_have_begun_together_start_once(transactional_db, lose_next_commit, how):
    with workers_that_know_actions():
        lose_next_commit(how)
        ids = ctx.scheduler.run_after_many(0, begin_with_others, [{}] * WORKERS)
        wait_until(lambda: in_state(State.SUCCESS) == WORKERS, "all of them succeeded")

    assert sorted(filter(None, starts)) == ids
    assert {record(each).attempts for each in ids} == {1}


@pytest.mark.only_on("postgresql", "mysql")
def test_one_of_them_that_is_canceled_before_that_is_known_does_not_start(transactional_db, lose_next_commit):
    canceled: list[int] = []

    def commit_and_cancel(driver: Any) -> None:
        driver.commit()
        driver.close()
        thread = threading.Thread(target=cancel_second)
        thread.start()
        thread.join(20)

    def cancel_second() -> None:
        try:
            canceled.append(ScheduledFunction.objects.order_by("pk")[1].pk)
            ctx.scheduler.cancel(ScheduledFunctionId(canceled[0]))
        finally:
            connections.close_all()

    with workers_that_know_actions():
        lose_next_commit(commit_and_cancel)
        ids = ctx.scheduler.run_after_many(0, begin_with_others, [{}] * WORKERS)
        wait_until(lambda: in_state(State.SUCCESS) == WORKERS - 1, "the others succeeded")

    assert canceled == ids[1:2]
    assert record(ids[1]).state == State.CANCELED
    assert sorted(filter(None, starts)) == [each for each in ids if each not in canceled]


@action
def count_actions_in_progress(ctx: Context) -> int:
    return in_state(State.IN_PROGRESS)


@pytest.mark.parametrize("mutations", [1, 2, 3])
def test_actions_behind_mutations_begin_only_in_a_worker_that_is_idle(execute_due, growing_groups, mutations):
    """What is claimed as the rest of a group of mutations may turn out to be actions."""
    for _ in range(mutations):
        ctx.scheduler.run_after(0, come_after_actions)
    ids = ctx.scheduler.run_after_many(0, count_actions_in_progress, [{}] * 4)

    execute_due()

    assert [record(each).decoded_result() for each in ids] == [1] * 4
