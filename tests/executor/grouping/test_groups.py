"""Mutations that share a transaction: each does exactly what it would have done alone."""

import itertools
import sys
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.backends.signals import connection_created

from django_scheduler import ctx
from django_scheduler.databases import TABLE, Claimable, Database, Lane, database_for
from django_scheduler.executor import claim_policy, grouping, poller, worker
from django_scheduler.executor.claim_policy import GroupSize
from django_scheduler.executor.grouping import MutationGroup
from django_scheduler.executor.poller import Poller
from django_scheduler.models import Failure, ScheduledFunction, ScheduledFunctionId, State
from tests.executor.grouping import functions
from tests.executor.grouping.functions import hooks, starts
from tests.models import Entry, Line
from tests.support.elsewhere import elsewhere
from tests.support.in_process import execute_with_one_worker, executing
from tests.support.records import record
from tests.support.statements import statements_through
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("backlog")


def labels() -> list[str]:
    return [entry.label for entry in Entry.objects.order_by("pk")]


def states(ids: list[ScheduledFunctionId]) -> list[str]:
    return [record(function_id).state for function_id in ids]


def enter(*labels: str) -> list[ScheduledFunctionId]:
    return [ctx.scheduler.run_after(0, functions.enter, label=label) for label in labels]


def test_members_are_recorded_as_if_alone(execute_as_group):
    ids = enter("a", "b", "c")

    execute_as_group(ids)

    assert labels() == ["a", "b", "c"]
    rows = [record(function_id) for function_id in ids]
    assert [(row.state, row.attempts, row.decoded_result(), row.error) for row in rows] == [
        (State.SUCCESS, 1, function_id, "") for function_id in ids
    ]
    for row, later in itertools.pairwise(rows):
        assert row.started_time
        assert row.completed_time
        assert later.started_time
        assert row.started_time <= row.completed_time <= later.started_time
        assert row.executor == "the worker of a test"


def test_members_run_once_also_where_django_keeps_their_statements(execute_as_group, settings):
    settings.DEBUG = True
    ids = enter("a", "b", "c")

    execute_as_group(ids)

    assert starts == ["a", "b", "c"]  # and not once more alone


def test_a_group_grows_with_the_backlog_and_ends_with_it(transactional_db, groups):
    execute_with_one_worker()

    assert [len(grouping) for grouping in groups] == [2, 4]  # the first is alone


def test_groups_of_plain_members_keep_their_session(transactional_db, groups):
    sessions: list[Any] = []

    def note(connection: Any, **kwargs: Any) -> None:
        sessions.append(connection)

    connection_created.connect(note)
    try:
        execute_with_one_worker()
    finally:
        connection_created.disconnect(note)

    assert len(groups) == 2
    assert len(sessions) == 1


def test_failing_member_fails_alone_once_and_its_neighbors_succeed_once(execute_as_group):
    before = enter("before")
    bad = ctx.scheduler.run_after(0, functions.enter_and_raise, label="bad")
    after = enter("after")

    execute_as_group([*before, bad, *after])

    assert labels() == ["before", "after"]
    assert states([*before, bad, *after]) == [State.SUCCESS, State.FAILED, State.SUCCESS]
    row = record(bad)
    assert (row.failure, row.attempts, row.error) == (Failure.ERROR, 1, "ValueError: bad is not to be")
    assert [record(function_id).attempts for function_id in before + after] == [1, 1]


def test_error_of_a_member_is_no_part_of_another_one_nor_of_its_own_repetition(execute_as_group):
    handled: list[BaseException | None] = []
    functions.interludes["before"] = lambda: handled.append(sys.exc_info()[1])
    (before,) = enter("before")
    bad = ctx.scheduler.run_after(0, functions.enter_and_raise, label="bad")

    execute_as_group([before, bad])

    assert handled == [None, None]
    traceback = record(bad).traceback
    assert traceback.count("Traceback (most recent call last)") == 1
    assert "executor/worker.py" not in traceback


def test_function_that_has_failed_runs_alone_from_then_on(execute_as_group, groups):
    first = [*enter("a"), ctx.scheduler.run_after(0, functions.enter_and_raise, label="bad"), *enter("b")]
    others = [ctx.scheduler.run_after(0, functions.enter_and_raise, label=str(number)) for number in range(5)]

    execute_as_group(first + others)  # of eight

    assert not any(set(others) & set(grouping) for grouping in groups[groups.index(first + others) + 1 :])
    assert states(others) == [State.FAILED] * 5
    assert starts.count("bad") == 2  # in the group, and alone
    assert [starts.count(str(number)) for number in range(5)] == [1] * 5


@pytest.mark.only_on("postgresql", "mysql")  # on SQLite it always runs alone
def test_function_with_a_rate_limit_that_has_failed_runs_alone_until_its_slots_are_free_again(
    execute_as_group, groups, monkeypatch
):
    """A group of it may have used them up. With the same members it would end in each period."""
    monkeypatch.setattr(claim_policy, "FOR_A_WHILE", 0.0)
    bad, *others = [
        ctx.scheduler.run_after(0, functions.enter_and_raise_at_a_rate, label=str(each)) for each in range(8)
    ]

    execute_as_group([bad, *others])

    assert not any(set(others) & set(each) for each in groups[len(groups) - groups[::-1].index([bad, *others]) :])
    assert states([bad, *others]) == [State.FAILED] * 8


@pytest.mark.usefixtures("even_backoff")
def test_transient_error_of_a_member_counts_as_its_own_attempt_alone(execute_as_group, settings):
    settings.DJANGO_SCHEDULER = {"BACKOFF_INITIAL": timedelta(hours=2)}
    ids = [*enter("a"), ctx.scheduler.run_after(0, functions.enter_and_be_repeated_once, label="again"), *enter("b")]

    execute_as_group(ids)

    assert states([ids[0], ids[2]]) == [State.SUCCESS, State.SUCCESS]
    row = record(ids[1])
    assert (row.state, row.attempts) == (State.PENDING, 1)
    assert row.due_time > row.scheduled_time
    assert labels() == ["a", "b"]


def test_error_of_the_database_that_a_member_swallows_fails_that_member_alone(execute_as_group):
    ids = [*enter("a"), ctx.scheduler.run_after(0, functions.swallow_an_error, label="bad"), *enter("b")]

    execute_as_group(ids)

    if connection.vendor == "postgresql":
        assert states(ids) == [State.SUCCESS, State.FAILED, State.SUCCESS]
        assert "caught ProgrammingError" in record(ids[1]).error
        assert labels() == ["a", "b"]
    else:  # there, the error of one statement leaves the transaction as it was
        assert states(ids) == [State.SUCCESS] * 3
        assert labels() == ["a", "bad", "b"]


def test_error_of_the_database_that_a_member_handles_is_handled_alone(execute_as_group):
    ids = [*enter("a"), ctx.scheduler.run_after(0, functions.catch_an_error_in_a_savepoint, label="careful")]

    execute_as_group(ids)

    assert states(ids) == [State.SUCCESS, State.SUCCESS]
    assert record(ids[1]).decoded_result() == "caught"
    assert starts == ["a", "careful", "a", "careful"]
    assert labels() == ["a", "careful"]


def test_violated_constraint_is_the_fault_of_the_member_that_has_violated_it(execute_as_group):
    ids = [*enter("a"), ctx.scheduler.run_after(0, functions.refer_to_nothing, entry_id=-1), *enter("b")]

    execute_as_group(ids)

    assert states(ids) == [State.SUCCESS, State.FAILED, State.SUCCESS]
    assert record(ids[1]).error.startswith("IntegrityError: ")
    assert labels() == ["a", "b"]
    assert not Line.objects.exists()


@pytest.mark.only_on("postgresql", "mysql")
def test_no_member_repairs_what_another_one_has_violated(execute_as_group):
    ids = [
        ctx.scheduler.run_after(0, functions.refer_to_nothing, entry_id=1_000_000),
        ctx.scheduler.run_after(0, functions.enter_with_id, entry_id=1_000_000),
    ]

    execute_as_group(ids)

    assert states(ids) == [State.FAILED, State.SUCCESS]
    assert not Line.objects.exists()


@pytest.mark.only_on("postgresql", "sqlite")
def test_member_that_needs_its_constraints_deferred_succeeds(execute_as_group):
    ids = [*enter("a"), ctx.scheduler.run_after(0, functions.write_a_line_before_its_entry, entry_id=1_000_000)]

    execute_as_group(ids)

    assert states(ids) == [State.SUCCESS, State.SUCCESS]
    assert Line.objects.get().entry.label == "second"


@pytest.mark.only_on("postgresql")
def test_setting_of_one_member_does_not_reach_the_next(execute_as_group):
    ids = [
        ctx.scheduler.run_after(0, functions.set_for_the_transaction),
        ctx.scheduler.run_after(0, functions.tell_setting),
    ]

    execute_as_group(ids)

    assert states(ids) == [State.SUCCESS, State.SUCCESS]
    assert record(ids[1]).decoded_result() != "59s"


STATEMENTS_THAT_COMMIT = {
    "mysql": "ALTER TABLE tests_line COMMENT 'changed'",
    "postgresql": "COMMIT",
    "sqlite": "COMMIT",
}


@pytest.mark.parametrize("swallows", [False, True])
def test_member_that_commits_by_hand_does_not_double_what_the_others_have_done(execute_as_group, swallows):
    sql = STATEMENTS_THAT_COMMIT[connection.vendor]
    ids = [*enter("a"), ctx.scheduler.run_after(0, functions.execute, sql=sql, swallows=swallows), *enter("b")]

    execute_as_group(ids)

    assert states(ids) == [State.SUCCESS, State.FAILED, State.SUCCESS]
    assert record(ids[1]).error.startswith("BrokenTransaction: ")
    assert labels() == ["a", "b"]


@pytest.mark.only_on("postgresql")
def test_nothing_is_grouped_where_the_scheduler_s_own_table_has_a_trigger(transactional_db, groups):
    with connection.cursor() as cursor:
        cursor.execute("CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
        cursor.execute(
            f"CREATE CONSTRAINT TRIGGER watch AFTER UPDATE ON {TABLE} INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION watch()"
        )
    looks: list[str] = []

    def note(execute: Any, sql: str, *arguments: Any) -> Any:
        if "pg_trigger" in sql:
            looks.append(sql)
        return execute(sql, *arguments)

    try:
        ids = enter("a", "b")
        with statements_through(note):
            execute_with_one_worker()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION watch CASCADE")

    assert states(ids) == [State.SUCCESS, State.SUCCESS]
    assert groups == []
    assert not ScheduledFunction.objects.filter(state=State.PENDING).exists()
    assert len(looks) <= 2  # it does not try again and again


def test_hooks_run_in_order_after_the_commit_and_one_that_raises_changes_nothing(execute_as_group):
    ids = [ctx.scheduler.run_after(0, functions.enter_with_hooks, label=label, fails=label == "b") for label in "abc"]

    execute_as_group(ids)

    assert hooks == ["a", "a again", "b", "b again", "c", "c again"]
    assert states(ids) == [State.SUCCESS] * 3


def test_hooks_of_a_group_that_did_not_work_out_run_once(execute_as_group):
    ids = [ctx.scheduler.run_after(0, functions.enter_with_hooks, label="a")]
    ids.append(ctx.scheduler.run_after(0, functions.enter_and_raise, label="bad"))

    execute_as_group(ids)

    assert hooks == ["a", "a again"]


def test_each_member_has_the_limits_of_a_transaction_to_itself(execute_as_group, settings):
    settings.DJANGO_SCHEDULER = {"MAX_SCHEDULED_PER_TRANSACTION": 3}
    ids = [ctx.scheduler.run_after(0, functions.schedule_many, number=3) for _ in range(3)]
    greedy = ctx.scheduler.run_after(0, functions.schedule_many, number=4)

    execute_as_group([*ids, greedy])

    assert states([*ids, greedy]) == [State.SUCCESS] * 3 + [State.FAILED]
    assert record(greedy).error.startswith("TooManyScheduled: ")
    assert ScheduledFunction.objects.filter(parent__in=ids).count() == 9


def test_what_a_member_schedules_runs_after_the_commit_as_its_child(execute_as_group):
    ids = [*enter("a"), ctx.scheduler.run_after(0, functions.schedule_one), *enter("b")]

    execute_as_group(ids)

    child = ScheduledFunction.objects.get(parent=ids[1])
    assert child.pk == record(ids[1]).decoded_result()
    assert child.state == State.SUCCESS
    assert labels() == ["a", "b", "child"]


def test_a_group_sends_one_wakeup(execute_as_group, rings):
    ids = [ctx.scheduler.run_after(0, functions.schedule_one) for _ in range(3)]
    rings.clear()

    execute_as_group(ids)

    assert len(rings) == 1


@pytest.mark.parametrize("canceled", ["before", "after"])
def test_member_that_cancels_another_one_is_obeyed_as_if_alone(execute_as_group, canceled):
    (before,) = enter("before")
    cancel = ctx.scheduler.run_after(0, functions.cancel, function_id=0)
    (after,) = enter("after")
    target = before if canceled == "before" else after
    ScheduledFunction.objects.filter(pk=cancel).update(args={"function_id": target})

    execute_as_group([before, cancel, after])

    if canceled == "before":
        assert states([before, cancel, after]) == [State.SUCCESS, State.FAILED, State.SUCCESS]
        assert record(cancel).error.startswith("AlreadyFinished: ")
        assert labels() == ["before", "after"]
    else:
        assert states([before, cancel, after]) == [State.SUCCESS, State.SUCCESS, State.CANCELED]
        assert labels() == ["before"]


def test_member_that_another_one_puts_off_does_not_run_before_its_time(execute_as_group):
    put_off = ctx.scheduler.run_after(0, functions.put_off, function_id=0, hours=1)
    (target,) = enter("put off")
    ScheduledFunction.objects.filter(pk=put_off).update(args={"function_id": target, "hours": 1})

    execute_as_group([put_off, target])

    assert states([put_off, target]) == [State.SUCCESS, State.PENDING]
    assert labels() == []


@pytest.mark.usefixtures("growing_groups")
def test_member_that_expires_before_its_turn_never_begins(transactional_db):
    database = database_for("default")
    first = enter("waits")
    expiring = ctx.scheduler.options(expires=timedelta(seconds=1)).run_after(0, functions.enter, label="expires")
    last = enter("last")
    expires = record(expiring).expires_time
    assert expires is not None

    def outlast() -> None:
        wait_until(lambda: database.current_time() > expires, "it has expired")

    functions.interludes["waits"] = outlast

    execute_with_one_worker()

    assert states([*first, expiring, *last]) == [State.SUCCESS, State.CANCELED, State.SUCCESS]
    assert "expires" not in starts


@pytest.mark.usefixtures("growing_groups")
def test_member_that_expires_before_the_claim_is_answered_never_begins(transactional_db, monkeypatch):
    database = database_for("default")
    expiring: list[ScheduledFunctionId] = []
    claim = type(database).claim

    def answer_late(self: Database, *arguments: Any, **keywords: Any) -> list[Claimable]:
        claimed = claim(self, *arguments, **keywords)
        if not {*expiring}.isdisjoint(each.id for each in claimed):
            expires = record(expiring[0]).expires_time
            wait_until(lambda: expires is None or database.current_time() > expires, "it has expired")
        return claimed

    monkeypatch.setattr(type(database), "claim", answer_late)
    first = enter("first")
    expiring.append(ctx.scheduler.options(expires=timedelta(seconds=1)).run_after(0, functions.enter, label="expires"))

    execute_with_one_worker()

    assert states([*first, *expiring]) == [State.SUCCESS, State.CANCELED]
    assert "expires" not in starts


def test_member_that_is_put_off_after_its_group_has_failed_does_not_run_before_its_time(execute_as_group):
    ids = [ctx.scheduler.run_after(0, functions.put_off_when_alone, function_id=0), *enter("put off")]
    ScheduledFunction.objects.filter(pk=ids[0]).update(args={"function_id": ids[1]})
    ids.append(ctx.scheduler.run_after(0, functions.enter_and_raise, label="bad"))

    execute_as_group(ids)

    assert states(ids) == [State.SUCCESS, State.PENDING, State.FAILED]
    assert labels() == []


def test_member_that_leaves_a_block_open_fails_alone(execute_as_group):
    ids = [*enter("a"), ctx.scheduler.run_after(0, functions.leave_open), *enter("b")]

    execute_as_group(ids)

    assert states(ids) == [State.SUCCESS, State.FAILED, State.SUCCESS]
    assert labels() == ["a", "b"]


def test_a_group_lets_go_of_what_it_has_no_time_for(execute_as_group, groups, monkeypatch):
    slow, *ids = enter("slow", "a", "b")
    states_seen: list[str] = []
    functions.interludes["slow"] = lambda: monkeypatch.setattr(grouping, "GROUP_SECONDS", 0.0)
    functions.interludes["a"] = lambda: states_seen.append(record(slow).state)

    execute_as_group([slow, *ids])

    assert states([slow, *ids]) == [State.SUCCESS] * 3
    assert groups[groups.index([slow, *ids]) + 1 :] == []  # the next is claimed alone, as there was time for one
    assert states_seen == [State.SUCCESS]  # the group had committed


@pytest.mark.only_on("postgresql", "mysql")
def test_function_that_asks_to_be_alone_holds_nobody_else_up(groups):
    not_locked: list[int] = []
    alone = ctx.scheduler.run_after(0, functions.call_alone, label="looks")
    ids = enter("a", "b")

    def look_who_is_locked() -> None:
        with transaction.atomic():
            free = ScheduledFunction.objects.select_for_update(skip_locked=True).filter(pk__in=[alone, *ids])
            not_locked.extend(free.order_by("pk").values_list("pk", flat=True))

    functions.interludes["looks"] = lambda: elsewhere(look_who_is_locked)
    execute_with_one_worker()

    assert not_locked == ids
    assert states([alone, *ids]) == [State.SUCCESS] * 3


@pytest.mark.only_on("postgresql", "mysql")
def test_what_a_group_let_go_is_not_kept_waiting_by_its_hooks(groups, monkeypatch):
    monkeypatch.setattr(GroupSize, "__init__", lambda size: setattr(size, "next", 16))  # whichever worker is first
    others_have_succeeded: list[bool] = []
    ids: list[ScheduledFunctionId] = []

    def hook() -> None:
        wait_until(lambda: states(ids) == [State.SUCCESS] * 2, "the others have succeeded meanwhile")
        others_have_succeeded.append(True)

    functions.interludes["slow"] = lambda: monkeypatch.setattr(grouping, "GROUP_SECONDS", 0.0)
    functions.interludes["slow, after its commit"] = hook
    slow = ctx.scheduler.run_after(0, functions.enter_with_a_hook, label="slow")
    ids += enter("a", "b")

    with executing(concurrency=2):
        wait_until(lambda: others_have_succeeded, "the hook has seen the others succeed")

    assert groups[0][-3:] == [slow, *ids]


@pytest.mark.only_on("postgresql", "mysql")
def test_a_body_that_waits_in_a_large_group_keeps_no_other_worker_waiting(groups, monkeypatch):
    monkeypatch.setattr(GroupSize, "__init__", lambda size: setattr(size, "next", 16))
    monkeypatch.setattr(claim_policy, "LARGE", 2)
    gate = threading.Event()

    def wait() -> None:
        assert gate.wait(20)

    functions.interludes["waits"] = wait
    ids = enter("waits", "a")
    # Of a queue that comes before: MariaDB may also keep the lock of the row behind the last one of a lane.
    other = ctx.scheduler.run_after(0, functions.enter_alone_beside, label="in another queue")

    with executing(concurrency=2):
        wait_until(lambda: states([other]) == [State.SUCCESS], "the other worker has executed it")
        assert states(ids) == [State.PENDING] * 2
        gate.set()
        wait_until(lambda: states(ids) == [State.SUCCESS] * 2, "the group went on")

    assert ids == groups[0][-2:]


@pytest.mark.only_on("postgresql", "mysql")
def test_large_groups_whose_bodies_mostly_wait_run_beside_each_other(monkeypatch):
    monkeypatch.setattr(GroupSize, "__init__", lambda size: setattr(size, "next", 16))
    monkeypatch.setattr(claim_policy, "LARGE", 2)
    monkeypatch.setattr(claim_policy, "LARGEST", 16)
    monkeypatch.setattr(claim_policy, "FOR_A_WHILE", 3600.0)
    monkeypatch.setattr(worker, "GROUP_SECONDS", 3600.0)  # so that only what was learned releases the claim lock
    has_claim_lock = threading.local()
    together = threading.Barrier(2, timeout=20)
    have_met = threading.Event()
    in_transaction = MutationGroup.in_transaction

    def note_claim_lock(group: MutationGroup) -> None:
        has_claim_lock.now = group.keeps_claim_lock_for > 0
        in_transaction(group)

    def wait_for_another() -> None:
        if has_claim_lock.now:  # nobody else can claim: the body only shows that it waits
            have_met.wait(0.02)
        elif not have_met.is_set():
            together.wait()
            have_met.set()

    monkeypatch.setattr(MutationGroup, "in_transaction", note_claim_lock)
    functions.interludes["waits"] = wait_for_another
    enter(*["waits"] * 400)

    with executing(concurrency=2):
        wait_until(have_met.is_set, "bodies of two groups waited at the same time")


def test_function_that_took_long_runs_alone_from_then_on(execute_as_group, groups, monkeypatch):
    # Nothing takes long before that group, and everything in it does, whatever else the machine has to do.
    monkeypatch.setattr(claim_policy, "LONG", 60.0)
    functions.interludes["a"] = lambda: monkeypatch.setattr(claim_policy, "LONG", 0.0)
    first = [*enter("a"), ctx.scheduler.run_after(0, functions.enter_under_another_name, label="long"), *enter("b")]
    others = [ctx.scheduler.run_after(0, functions.enter_under_another_name, label="more") for _ in range(10)]

    execute_as_group(first + others[:5])  # of eight

    assert states(first + others) == [State.SUCCESS] * 13
    assert not any(set(others) & set(grouping) for grouping in groups[groups.index(first + others[:5]) + 1 :])


def test_function_that_asks_to_be_alone_is_alone_and_so_is_an_action(transactional_db, groups):
    ids = enter("a", "b")
    alone = ctx.scheduler.run_after(0, functions.enter_alone, label="alone")
    action = ctx.scheduler.run_after(0, functions.act)
    later = enter("c", "d", "e")

    execute_with_one_worker()

    assert states([*ids, alone, action, *later]) == [State.SUCCESS] * 7
    assert labels() == ["a", "b", "alone", "c", "d", "e"]
    assert not any({alone, action} & set(grouping) for grouping in groups)
    assert ids in groups


def test_what_a_group_lets_go_is_executed_at_once(groups, settings, monkeypatch):
    """Workers that have found it locked do not go on sleeping."""
    monkeypatch.setattr(GroupSize, "__init__", lambda size: setattr(size, "next", 16))
    monkeypatch.setattr(poller, "LOCKED_INTERVAL", 3600.0)
    settings.DJANGO_SCHEDULER = {"POLL_INTERVAL": timedelta(hours=1)}
    others_have_looked = threading.Event()
    found_all_locked = Poller.found_all_locked

    def note_look(poller: Poller, due: list[Lane]) -> None:
        others_have_looked.set()
        found_all_locked(poller, due)

    def take_all_the_time() -> None:
        monkeypatch.setattr(grouping, "GROUP_SECONDS", 0.0)
        if connection.vendor != "sqlite":  # there nobody looks before the group has ended
            assert others_have_looked.wait(20)

    monkeypatch.setattr(Poller, "found_all_locked", note_look)
    functions.interludes["slow"] = take_all_the_time
    mutations = enter("slow", "a", "b", "c")
    actions = [ctx.scheduler.run_after(0, functions.act) for _ in range(5)]

    with executing(concurrency=4):
        left = ScheduledFunction.objects.filter(pk__in=mutations + actions, completed_time=None)
        wait_until(lambda: not left.exists(), "all were executed")

    assert groups[0][-4:] == mutations


def test_a_group_whose_results_are_large_ends_before_there_are_too_many(transactional_db, groups, monkeypatch):
    ids = enter(*"abcdefgh")
    monkeypatch.setattr(grouping, "MOST_RESULT_BYTES", len(str(ids[-1])))  # a function returns its id

    execute_with_one_worker()

    assert labels() == list("abcdefgh")
    assert [len(each) for each in groups if set(each) & set(ids)] == [8, 2, 4, 2]  # of which two begin each time
