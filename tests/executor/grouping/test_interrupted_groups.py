"""Groups that are interrupted from outside: canceled, deadlocked, cut off. Each member exactly once all the same."""

import threading

import pytest
from django.db import connection, connections, transaction

from django_scheduler import ctx
from django_scheduler.databases import django_internals
from django_scheduler.errors import AlreadyFinished
from django_scheduler.models import ScheduledFunction, ScheduledFunctionId, State
from tests.executor.grouping import functions
from tests.executor.grouping.functions import starts
from tests.executor.test_ambiguous_commits import (
    commit_after_losing,
    lose_after_commit,
    lose_answer,
    lose_before_commit,
)
from tests.models import Account, Entry
from tests.support.elsewhere import elsewhere
from tests.support.in_process import execute_with_one_worker, executing
from tests.support.records import record
from tests.support.rivals import Deadlock
from tests.support.sessions import lose_this_session
from tests.support.waiting import wait_until


def enter(*labels: str) -> list[ScheduledFunctionId]:
    return [ctx.scheduler.run_after(0, functions.enter, label=label) for label in labels]


def entries() -> list[str]:
    return sorted(entry.label for entry in Entry.objects.all())


def all_succeeded(ids: list[ScheduledFunctionId]) -> bool:
    return ScheduledFunction.objects.filter(pk__in=ids, state=State.SUCCESS).count() == len(ids)


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize("target", ["already run", "running", "not yet run"])
def test_canceled_member_leaves_nothing_and_its_neighbors_succeed_once(backlog, groups, target):
    ids = dict(
        zip(["already run", "running", "not yet run"], enter("already run", "running", "not yet run"), strict=True)
    )
    is_running, may_go_on = threading.Event(), threading.Event()

    def wait_in_the_group() -> None:
        if not is_running.is_set():
            is_running.set()
            may_go_on.wait(20)

    functions.interludes["running"] = wait_in_the_group
    with executing(concurrency=1):
        assert is_running.wait(20)
        ctx.scheduler.cancel(ids[target])
        assert record(ids[target]).state == State.CANCELED
        may_go_on.set()
        others = [function_id for label, function_id in ids.items() if label != target]
        wait_until(lambda: all_succeeded(others), "the others succeeded")

    assert list(ids.values()) in groups
    assert record(ids[target]).state == State.CANCELED
    assert entries() == sorted(set(ids) - {target})


@pytest.mark.parametrize("target", [0, 1, 2])
def test_cancel_of_a_member_wins_or_comes_too_late(backlog, target):
    ids = enter("a", "b", "c")
    is_running = threading.Event()
    functions.interludes["b"] = is_running.set
    outcome = []

    def cancel() -> None:
        try:
            ctx.scheduler.cancel(ids[target])
            outcome.append(State.CANCELED)
        except AlreadyFinished:
            outcome.append(State.SUCCESS)

    with executing(concurrency=1):
        assert is_running.wait(20)
        elsewhere(cancel)
        others = [function_id for function_id in ids if function_id != ids[target]]
        wait_until(lambda: all_succeeded(others), "the others succeeded")

    assert [record(ids[target]).state] == outcome
    left = {"a", "b", "c"} - ({"abc"[target]} if outcome == [State.CANCELED] else set())
    assert entries() == sorted(left)


def test_members_of_a_group_that_fails_while_its_executor_is_stopping_are_left_to_others(backlog, groups):
    is_running = threading.Event()
    ids = [*enter("a", "b"), ctx.scheduler.run_after(0, functions.enter_and_raise, label="bad")]

    with executing(concurrency=1) as executor:

        def stop() -> None:
            is_running.set()
            executor.stop()

        functions.interludes["b"] = stop
        assert is_running.wait(20)

    assert ids in groups
    assert [record(each).state for each in ids] == [State.PENDING] * 3
    assert entries() == []
    functions.interludes.clear()
    execute_with_one_worker()
    assert [record(each).state for each in ids] == [State.SUCCESS, State.SUCCESS, State.FAILED]
    assert entries() == ["a", "b"]


@pytest.mark.only_on("postgresql", "mysql")
def test_deadlock_with_another_transaction_only_makes_the_members_run_alone(backlog, groups):
    first, second = (Account.objects.create().pk for _ in range(2))
    deadlock = Deadlock(first, second)
    met: list[str] = []

    def meet_once() -> None:
        if not met:
            met.append("a deadlock")
            deadlock.meet()

    functions.interludes["b"] = meet_once
    ids = enter("a", "b", "c")

    execute_with_one_worker()
    deadlock.end()

    assert ids in groups
    assert [(record(each).state, record(each).attempts) for each in ids] == [(State.SUCCESS, 1)] * 3
    assert [label for label in entries() if label != "rival"] == ["a", "b", "c"]
    assert Account.objects.get(pk=second).balance == 2


@pytest.mark.only_on("postgresql", "mysql")
def test_two_groups_that_deadlock_with_each_other_both_succeed(transactional_db, groups, growing_groups):
    accounts = [Account.objects.create().pk for _ in range(2)]
    both = threading.Barrier(2, timeout=20)
    is_first = {"left": True, "right": True}

    def take(side: str, *order: int) -> None:
        Account.objects.filter(pk=accounts[order[0]]).update(balance=5)
        if is_first[side]:
            is_first[side] = False
            both.wait()
        Account.objects.filter(pk=accounts[order[1]]).update(balance=5)

    functions.interludes["left"] = lambda: take("left", 0, 1)
    functions.interludes["right"] = lambda: take("right", 1, 0)
    ids = []
    for side in ("left", "right"):
        for _ in range(3):
            ctx.scheduler.run_after(0, functions.nothing_in[side])
        ids += [ctx.scheduler.run_after(0, functions.enter_in[side], label=label) for label in (side, f"{side} too")]

    with executing(concurrency=1, queues=["left"]), executing(concurrency=1, queues=["right"]):
        wait_until(lambda: all_succeeded(ids), "all of them succeeded")

    assert {tuple(ids[:2]), tuple(ids[2:])} <= {tuple(group) for group in groups}
    assert entries() == ["left", "left too", "right", "right too"]


@pytest.mark.only_on("postgresql", "mysql")
@pytest.mark.parametrize("how", [lose_after_commit, commit_after_losing, lose_before_commit])
def test_lost_answer_to_the_commit_of_a_group_doubles_nothing_and_loses_nothing(backlog, groups, how):
    def lose_once() -> None:
        if starts.count("b") == 1:
            lose_answer(django_internals.driver_of(connection), how)

    functions.interludes["b"] = lose_once
    ids = [*enter("a", "b"), ctx.scheduler.run_after(0, functions.enter_with_hooks, label="c")]

    execute_with_one_worker()

    assert ids in groups
    assert [(record(each).state, record(each).attempts) for each in ids] == [(State.SUCCESS, 1)] * 3
    assert entries() == ["a", "b", "c"]
    assert functions.hooks == ["c", "c again"]
    assert starts == (["a", "b"] if how is not lose_before_commit else ["a", "b", "a", "b"])


@pytest.mark.only_on("postgresql")
def test_lost_answer_to_the_commit_of_a_group_is_found_out_under_repeatable_read(backlog, groups, monkeypatch):
    from psycopg import IsolationLevel

    monkeypatch.setitem(connections.settings["default"]["OPTIONS"], "isolation_level", IsolationLevel.REPEATABLE_READ)
    functions.interludes["a"] = lambda: lose_answer(django_internals.driver_of(connection), commit_after_losing)
    ids = [*enter("a"), ctx.scheduler.run_after(0, functions.enter_with_hooks, label="b")]

    execute_with_one_worker()

    assert ids in groups
    assert entries() == ["a", "b"]
    assert functions.hooks == ["b", "b again"]


@pytest.mark.only_on("postgresql", "mysql")
def test_killed_session_of_a_group_makes_its_members_run_alone(backlog, groups):
    functions.interludes["b"] = lambda: lose_this_session() if starts.count("b") == 1 else None
    ids = enter("a", "b", "c")

    execute_with_one_worker()

    assert ids in groups
    assert [(record(each).state, record(each).attempts) for each in ids] == [(State.SUCCESS, 1)] * 3
    assert entries() == ["a", "b", "c"]


def test_many_members_of_which_a_third_fail_all_end_as_if_alone(backlog, groups):
    with transaction.atomic():
        good = [ctx.scheduler.run_after(0, functions.enter, label=f"good {number}") for number in range(70)]
        bad = [ctx.scheduler.run_after(0, functions.enter_and_raise, label=f"bad {number}") for number in range(30)]

    with executing(concurrency=1 if connection.vendor == "sqlite" else 4):
        unfinished = ScheduledFunction.objects.filter(state=State.PENDING)
        wait_until(lambda: not unfinished.exists(), "all were executed")

    assert {record(each).state for each in good} == {State.SUCCESS}
    assert {(record(each).state, record(each).attempts) for each in bad} == {(State.FAILED, 1)}
    assert entries() == sorted(f"good {number}" for number in range(70))
    assert max(map(len, groups)) > 1
