"""A batch ends once, when the last of its members has ended, however they ended and whoever recorded it."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction

from django_scheduler import BatchOutcome, Context, Outcome, action, ctx, internal_mutation, mutation
from django_scheduler.databases import TABLE, database_for
from django_scheduler.errors import AlreadyFinished, InvalidArguments, InvalidSchedule, SchedulerError
from django_scheduler.executor.recovery import record_lost
from django_scheduler.models import Batch, ScheduledFunction
from django_scheduler.record import transitions
from django_scheduler.testing import ManualScheduler
from tests.functions import write
from tests.models import Entry
from tests.support.in_process import execute_with_one_worker, executing
from tests.support.records import record
from tests.support.statements import failing
from tests.support.waiting import wait_until

ended: list[BatchOutcome] = []


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    ended.clear()


@internal_mutation
def hear_of_batch(ctx: Context, *, outcome: BatchOutcome) -> None:
    ended.append(outcome)


@internal_mutation
def note_end_of_member(ctx: Context, *, outcome: Outcome) -> None:
    Entry.objects.create(label=outcome.state)


@mutation
def be_a_member(ctx: Context, *, number: int = 0) -> None:
    Entry.objects.create(label=str(number))


@action
def act_as_member(ctx: Context) -> None: ...


@mutation
def fail_as_member(ctx: Context) -> None:
    raise ValueError("no")


@mutation
def add_members(ctx: Context, *, number: int) -> None:
    assert ctx.batch is not None
    ctx.batch.run_after_many(0, be_a_member, [{"number": each} for each in range(number)])
    with transaction.atomic():
        ctx.batch.run_after(0, be_a_member)
        transaction.set_rollback(True)
    ctx.scheduler.run_after(0, be_a_member)  # no member


@action
def act_and_add(ctx: Context, *, number: int) -> None:
    assert ctx.batch is not None
    for each in range(number):
        ctx.batch.run_after(0, be_a_member, number=each)


@mutation
def fail_after_adding(ctx: Context) -> None:
    assert ctx.batch is not None
    ctx.batch.run_after(0, be_a_member)
    raise ValueError("no")


def outcome(total: int, succeeded: int, failed: int = 0, canceled: int = 0) -> BatchOutcome:
    return BatchOutcome(id=Batch.objects.get().pk, total=total, succeeded=succeeded, failed=failed, canceled=canceled)


def test_it_ends_with_its_last_member_however_they_end(transactional_db):
    with ctx.scheduler.batch(on_complete=hear_of_batch) as batch:
        batch.run_after(0, be_a_member)
        batch.run_after(0, fail_as_member)
        batch.run_after_many(0, act_as_member, [{}, {}])
        late = batch.run_after(60_000, be_a_member)
        lost = batch.run_after(60_000, act_as_member)
        expired = batch.options(expires=timedelta(hours=1), on_complete=note_end_of_member).run_after(0, be_a_member)
    ScheduledFunction.objects.filter(pk=expired).update(expires_time=record(expired).creation_time)

    execute_with_one_worker()
    ctx.scheduler.cancel(late)
    assert ended == []
    database = database_for("default")
    attempt = {"started_time": record(lost).due_time, "attempts": 1, "executor": "one that is gone"}
    assert transitions.BEGIN.apply(database, lost, attempt)
    record_lost(database, "one that is gone", "its process has ended")

    execute_with_one_worker()
    assert ended == [outcome(7, 3, 2, 2)]
    assert Batch.objects.get().completed_time is not None
    assert set(ScheduledFunction.objects.filter(batch=batch.id).values_list("pk", flat=True)) >= {late, lost, expired}
    assert Entry.objects.filter(label="canceled").count() == 1


def test_members_of_a_group_are_counted_at_once(transactional_db, backlog, groups):
    with ctx.scheduler.batch(on_complete=hear_of_batch) as batch:
        members = batch.run_after_many(0, be_a_member, [{"number": number} for number in range(8)])
    with ctx.scheduler.batch(on_complete=hear_of_batch) as other:
        others = other.run_after_many(0, add_members, [{"number": 2}, {"number": 3}])

    execute_with_one_worker()

    assert any(len({*members, *others} & set(group)) > 3 for group in groups)
    assert sorted((each.id, each.total, each.succeeded) for each in ended) == [(batch.id, 8, 8), (other.id, 7, 7)]


@pytest.mark.parametrize("function", [add_members, act_and_add])
def test_members_that_members_add_count(transactional_db, function):
    with ctx.scheduler.batch(on_complete=hear_of_batch) as batch:
        batch.run_after(0, function, number=3)

    execute_with_one_worker()

    assert ended == [outcome(4, 4)]


def test_what_a_member_added_vanishes_with_its_failure(transactional_db):
    with ctx.scheduler.batch(on_complete=hear_of_batch) as batch:
        batch.run_after(0, fail_after_adding)

    execute_with_one_worker()

    assert ended == [outcome(1, 0, 1)]


def test_empty_batch_ends_at_once(transactional_db):
    with ctx.scheduler.batch(on_complete=hear_of_batch):
        pass

    execute_with_one_worker()

    assert ended == [outcome(0, 0)]
    assert ended[0].is_success


def test_what_is_canceled_within_the_block_does_not_end_it(transactional_db):
    with ctx.scheduler.batch(on_complete=hear_of_batch) as batch:
        ctx.scheduler.cancel(batch.run_after(0, be_a_member))
        batch.run_after(0, be_a_member)

    execute_with_one_worker()

    assert ended == [outcome(2, 1, 0, 1)]


def test_exception_in_the_block_drops_all_of_it(transactional_db):
    with pytest.raises(ValueError), ctx.scheduler.batch(on_complete=hear_of_batch) as batch:  # noqa: PT011
        batch.run_after(0, be_a_member)
        raise ValueError

    assert not Batch.objects.exists()
    assert not ScheduledFunction.objects.exists()


def test_batch_of_a_transaction_that_is_rolled_back_never_was(transactional_db):
    with transaction.atomic():
        with ctx.scheduler.batch(on_complete=hear_of_batch) as batch:
            batch.run_after(0, be_a_member)
        transaction.set_rollback(True)

    assert not Batch.objects.exists()
    assert not ScheduledFunction.objects.exists()


def test_the_members_of_a_batch_are_canceled_by_its_id(transactional_db):
    other = ctx.scheduler.run_after(timedelta(days=1), write, label="other")
    with ctx.scheduler.batch(on_complete=hear_of_batch) as batch:
        ctx.scheduler.run_after(0, write, label="no member")
        batch.run_after_many(timedelta(days=1), write, [{"label": "a"}, {"label": "b"}])
        with pytest.raises(InvalidArguments, match=rf"ctx\.scheduler\.cancel_all\(batch={batch.id}\)"):
            batch.cancel_all(everything=True)

    assert ctx.scheduler.cancel_all(batch=batch.id) == 2

    execute_with_one_worker()
    assert [(each.total, each.canceled) for each in ended] == [(2, 2)]
    assert record(other).state == "pending"


@pytest.mark.parametrize("batch_id", [-1, 0, 10**15, 2**63, 10**30])
def test_of_a_batch_that_no_database_can_have_nothing_is_canceled(db, batch_id):
    ctx.scheduler.run_after(0, write, label="no member")
    assert ctx.scheduler.cancel_all(batch=batch_id) == 0


def test_cancel_of_all_members_ends_it_once(transactional_db):
    with ctx.scheduler.batch(on_complete=hear_of_batch) as batch:
        batch.run_after_many(60_000, be_a_member, [{}] * 2_100)

    ctx.scheduler.cancel_all(be_a_member)

    execute_with_one_worker()
    assert ended == [outcome(2_100, 0, 0, 2_100)]


def test_two_last_members_that_end_at_once_do_not_both_miss_it(transactional_db):
    """Each transaction has recorded the end of its member before the other one commits."""
    for _ in range(5):
        with ctx.scheduler.batch(on_complete=hear_of_batch) as batch:
            ids = [batch.run_after(60_000, be_a_member) for _ in range(2)]
        both_have_begun = threading.Barrier(2, timeout=20)

        def cancel(function_id: int, barrier: threading.Barrier = both_have_begun) -> None:
            try:
                barrier.wait()
                ctx.scheduler.cancel(function_id)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=cancel, args=[each]) for each in ids]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)

    execute_with_one_worker()
    assert [(each.total, each.canceled) for each in ended] == [(2, 2)] * 5


def test_many_members_and_several_workers(transactional_db):
    with ctx.scheduler.batch(on_complete=hear_of_batch) as batch:
        batch.run_after_many(0, act_as_member, [{}] * 40)
        batch.run_after_many(0, be_a_member, [{}] * 40)
        batch.run_after_many(0, act_and_add, [{"number": 2}] * 5)

    with executing(concurrency=6):
        wait_until(lambda: ended, "the batch has ended")

    execute_with_one_worker()
    assert ended == [outcome(95, 95)]


def test_in_a_test_it_ends_when_the_test_has_run_its_members(db):
    with ManualScheduler() as scheduler:
        with ctx.scheduler.batch(on_complete=hear_of_batch) as batch:
            batch.run_after(0, add_members, number=2)
            batch.run_after(timedelta(hours=1), be_a_member)
        scheduler.run_due()
        assert ended == []
        scheduler.advance(hours=2)

    assert ended == [outcome(4, 4)]


def test_its_block_and_its_members_alone_add_to_it(transactional_db, monkeypatch):
    monkeypatch.setitem(connections.settings, "other", connections["default"].settings_dict)
    assert ctx.batch is None
    with ctx.scheduler.batch() as batch:
        function_id = batch.run_after(60_000, act_as_member)
    with pytest.raises(SchedulerError, match="block of the batch"):
        batch.run_after(0, be_a_member)
    with pytest.raises(SchedulerError, match="cannot be in 'other'"), ctx.scheduler.batch() as open_batch:
        open_batch.using("other").run_after(0, be_a_member)
    del connections["other"]

    assert Batch.objects.get().completed_time is None
    ctx.scheduler.cancel(function_id)
    assert Batch.objects.get().completed_time is not None


@mutation
def add_two_and_cancel_one(ctx: Context) -> None:
    assert ctx.batch is not None
    ctx.batch.run_after(timedelta(hours=1), be_a_member)
    ctx.scheduler.cancel(ctx.batch.run_after(0, be_a_member))


def test_member_that_is_canceled_by_the_one_that_added_it_does_not_end_the_batch(transactional_db):
    with ctx.scheduler.batch(on_complete=hear_of_batch) as batch:
        batch.run_after(0, add_two_and_cancel_one)

    execute_with_one_worker()
    assert (ended, Batch.objects.get().completed_time) == ([], None)
    ctx.scheduler.cancel_all(be_a_member)

    execute_with_one_worker()
    assert ended == [outcome(3, 1, 0, 2)]


@mutation
def add_after_commit(ctx: Context) -> None:
    batch = ctx.batch
    assert batch is not None
    transaction.on_commit(lambda: Entry.objects.create(label=add_or_say_why_not(batch)))


def add_or_say_why_not(batch: Any) -> str:
    try:
        return str(batch.run_after(0, be_a_member))
    except AlreadyFinished as error:
        return str(error)


def test_hook_of_a_member_adds_to_its_batch_while_that_has_not_ended(transactional_db):
    with ctx.scheduler.batch(on_complete=hear_of_batch) as batch:
        batch.run_after(0, add_after_commit)
        late = batch.run_after(60_000, be_a_member)

    execute_with_one_worker()
    assert ended == []
    ctx.scheduler.cancel(late)
    execute_with_one_worker()
    assert ended == [outcome(3, 2, 0, 1)]


def test_hook_of_the_last_member_is_too_late(transactional_db):
    with ctx.scheduler.batch(on_complete=hear_of_batch) as batch:
        batch.run_after(0, add_after_commit)

    execute_with_one_worker()

    assert ended == [outcome(1, 1)]
    assert "has ended" in Entry.objects.get().label


@mutation
def replace_what_waits(ctx: Context) -> None:
    ctx.scheduler.options(key="k", existing="replace").run_after(0, be_a_member, number=2)


def test_members_have_no_key(transactional_db):
    ctx.scheduler.options(key="k").run_after(60_000, be_a_member)
    with pytest.raises(InvalidSchedule, match="exclude each other"), ctx.scheduler.batch() as batch:
        batch.options(key="k").run_after(0, be_a_member)
    with pytest.raises(InvalidSchedule, match="exclude each other"), ctx.scheduler.options(key="k").batch():
        pytest.fail("the block has begun")


def test_member_may_replace_what_waits_with_a_key(transactional_db):
    ctx.scheduler.options(key="k").run_after(60_000, be_a_member)
    with ctx.scheduler.batch(on_complete=hear_of_batch) as batch:
        batch.run_after(0, replace_what_waits)

    execute_with_one_worker()

    assert ended == [outcome(1, 1)]
    assert Entry.objects.get().label == "2"


@action
def add_what_is_refused(ctx: Context) -> None:
    assert ctx.batch is not None
    refused = failing(lambda sql, params: "INSERT" in sql and TABLE in sql, OperationalError("the disk is full"))
    with refused, pytest.raises(OperationalError):
        ctx.batch.run_after(0, be_a_member)


def test_member_that_could_not_be_added_is_not_waited_for(transactional_db):
    with ctx.scheduler.batch(on_complete=hear_of_batch) as batch:
        batch.run_after(0, add_what_is_refused)

    execute_with_one_worker()
    execute_with_one_worker()

    assert ended == [outcome(1, 1)]


@action
def add_too_late(ctx: Context) -> None:
    assert ctx.function_id is not None
    record_lost(database_for("default"), record(ctx.function_id).executor, "it is thought to be gone")
    assert ctx.batch is not None
    try:
        ctx.batch.run_after(0, be_a_member)
    except AlreadyFinished as error:
        Entry.objects.create(label=str(error))


def test_action_that_was_taken_for_lost_adds_nothing_to_a_batch_that_has_ended(transactional_db):
    with ctx.scheduler.batch(on_complete=hear_of_batch) as batch:
        batch.run_after(0, add_too_late)

    execute_with_one_worker()

    assert ended == [outcome(1, 0, 1)]
    assert "has ended" in Entry.objects.get().label
    assert not ScheduledFunction.objects.filter(name=be_a_member.name).exists()


def test_callback_that_could_not_run_is_refused_with_the_block(transactional_db):
    with (
        pytest.raises(InvalidArguments, match="the batch was not scheduled: its on_complete="),
        ctx.scheduler.batch(on_complete=be_a_member),  # type: ignore[arg-type]
    ):
        pytest.fail("the block has begun")

    assert not Batch.objects.exists()


def test_member_that_runs_again_is_followed_and_no_member(transactional_db):
    with ctx.scheduler.batch(on_complete=hear_of_batch) as batch:
        old = batch.options(on_complete=note_end_of_member).run_after(0, add_members, number=1)
    execute_with_one_worker()
    assert (len(ended), ended[0].total) == (1, 2)
    new = ctx.scheduler.run_again(old)
    execute_with_one_worker()
    assert record(new).error.startswith("AssertionError")  # ctx.batch is None
    assert (record(new).batch_id, len(ended)) == (None, 1)
    assert list(
        Entry.objects.filter(label__in=["success", "failed"]).order_by("pk").values_list("label", flat=True)
    ) == [
        "success",
        "failed",
    ]
