"""Slots: two that want the same one never both get it, and nobody's is lost."""

from collections.abc import Iterator
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.models import F
from django.utils import timezone

from django_scheduler import Concurrency, Context, Retry, action, ctx, mutation
from django_scheduler.databases import WantedSlots, database_for
from django_scheduler.databases.sql import Sql
from django_scheduler.executor import by_id
from django_scheduler.models import Executor, Limit, ScheduledFunction, Slot, State
from django_scheduler.record import delete_expired, delete_idle_slots, transitions
from tests.functions import note
from tests.models import Entry
from tests.support.records import record
from tests.support.sessions import Session
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

COUNTER = "counter [7]"


@action(concurrency=Concurrency(1, key="account", name="counter"), retry=Retry(3))
def come_to_the_counter(ctx: Context, *, account: int) -> None:
    if ctx.attempt == 1:
        raise ConnectionError("the queue is long")


@pytest.fixture(autouse=True)
def _no_process_on_record() -> Iterator[None]:
    yield
    by_id.leave()


def wanted(size: int, number: int = 1) -> WantedSlots:
    return WantedSlots(COUNTER, "counter", size, number)


@mutation(concurrency=Concurrency(1))
def note_in_due_order(ctx: Context, *, label: str) -> None:
    Entry.objects.create(label=label)


def add_slots(*numbers: int) -> list[int]:
    database_for("default").add_slots([(COUNTER, number) for number in numbers])
    return list(Slot.objects.order_by("number").values_list("pk", flat=True))


def test_first_in_an_order_is_told_as_it_is_read_also_beside_limits_that_keep_none():
    add_slots(0)
    database_for("default").add_slots([("another", 0)])
    function_id = ctx.scheduler.run_after(0, note_in_due_order, label="waits")
    waits = {"waits_for": COUNTER, "in_order_of": COUNTER, "waiting_since": F("due_time")}
    ScheduledFunction.objects.filter(pk=function_id).update(**waits)
    with transaction.atomic():
        limits = [WantedSlots("another", "another", 1, 1), WantedSlots(COUNTER, "counter", 1, 1, True)]
        found = database_for("default").lock_slots(limits, [0])
    place = database_for("default").place_of(function_id), function_id
    assert [slot.first for slot in found] == [None, place]
    with transaction.atomic():
        (taken,) = database_for("default").take_slot(limits[1], 0, 1, "an executor")
    assert taken.first == place


def free_slots(size: int) -> list[int]:
    """The numbers of those that are found free."""
    with transaction.atomic():
        found = database_for("default").lock_slots([wanted(size, 10)], [])
    return sorted(Slot.objects.filter(pk__in=[slot.id for slot in found]).values_list("number", flat=True))


def begin_in(slot_id: int, state: State = State.IN_PROGRESS, **columns: object) -> int:
    """Have an action take a slot, as its executor does when it begins."""
    function_id = ctx.scheduler.run_after(0, note, label="x")
    now = timezone.now()
    ScheduledFunction.objects.filter(pk=function_id).update(
        state=state, attempts=1, executor="e", started_time=now, **columns
    )
    database_for("default").take_slots({slot_id: (function_id, 1)}, "e")
    return function_id


def put_on_record(name: str) -> None:
    now = timezone.now()
    Executor.objects.create(
        name=name,
        host="h",
        process_space="s",
        process_id=1,
        started_time=now,
        heartbeat_time=now,
        queues=[],
        concurrency=1,
    )


@pytest.mark.only_on("postgresql", "mysql")
def test_slot_that_an_action_takes_between_the_read_and_the_lock_is_passed_over(session: Session, monkeypatch):
    (slot_id,) = add_slots(0)
    database = database_for("default")
    database_class = type(database)
    find = database_class._free_slots

    def and_wait_for_locks(*args: Any) -> Sql:
        # So that the other transaction commits when this one has read what is free, and not locked it yet.
        sql = find(*args)
        return Sql(sql.text.replace(" SKIP LOCKED", ""), *sql.params)

    with transaction.atomic():
        begin_in(slot_id)
        monkeypatch.setattr(database_class, "_free_slots", and_wait_for_locks)
        found = session.begin(_locked_in_a_transaction, wanted(1))
        session.wait_until_it_waits()
    assert found.result(20) == []


def _locked_in_a_transaction(slots: WantedSlots) -> list[int]:
    with connections["default"].cursor() as cursor:
        if connections["default"].vendor == "mysql":
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    with transaction.atomic():
        return [slot.id for slot in database_for("default").lock_slots([slots], [])]


@pytest.mark.only_on("postgresql", "mysql")
def test_slot_of_an_executing_mutation_is_passed_over_until_its_transaction_ends(session: Session):
    add_slots(0, 1)
    with transaction.atomic():
        (slot,) = database_for("default").lock_slots([wanted(2)], [])
        others = session.do(_locked_in_a_transaction, wanted(2, 2))
        assert len(others) == 1
        assert slot.id not in others
    assert len(session.do(_locked_in_a_transaction, wanted(2, 2))) == 2


@pytest.mark.parametrize(
    ("state", "columns", "is_free"),
    [
        (State.IN_PROGRESS, {}, False),
        (State.SUCCESS, {}, True),
        (State.FAILED, {"failure": "error"}, True),
        (State.CANCELED, {}, False),
        (State.FAILED, {"failure": "timeout"}, False),
        (State.FAILED, {"failure": "lost"}, False),
    ],
)
def test_slot_is_taken_as_long_as_its_body_may_run(state, columns, is_free):
    (slot_id,) = add_slots(0)
    put_on_record("e")
    begin_in(slot_id, state, **columns)
    assert free_slots(1) == ([0] if is_free else [])
    Executor.objects.all().delete()
    assert free_slots(1) == ([] if state is State.IN_PROGRESS else [0])


def test_slot_whose_function_is_in_a_later_attempt_is_free():
    (slot_id,) = add_slots(0)
    function_id = begin_in(slot_id)
    ScheduledFunction.objects.filter(pk=function_id).update(attempts=2)
    assert free_slots(1) == [0]


def test_one_that_is_canceled_while_it_waits_for_its_next_attempt_has_no_slot(even_backoff):
    function_id = ctx.scheduler.run_after(0, come_to_the_counter, account=7)
    by_id.execute(function_id)
    assert (record(function_id).state, record(function_id).attempts) == (State.PENDING, 1)
    ctx.scheduler.cancel(function_id)
    assert free_slots(1) == [0]


def test_of_a_limit_that_is_lowered_nothing_begins_until_fewer_run_than_it_says():
    slots = add_slots(0, 1, 2)
    running = [begin_in(slot_id) for slot_id in slots]
    ScheduledFunction.objects.filter(pk=running[0]).update(state=State.SUCCESS)
    assert free_slots(2) == []  # two still run
    ScheduledFunction.objects.filter(pk=running[2]).update(state=State.SUCCESS)
    assert free_slots(2) == [0]


def test_slot_beyond_a_limit_that_was_lowered_is_not_given_out_again():
    add_slots(2)
    assert free_slots(2) == []  # or there could be one too many, once those below it are added
    assert database_for("default").missing_slots([wanted(2)]) == [(COUNTER, 0)]


def test_slot_that_was_taken_again_in_an_attempt_of_the_same_number_is_not_cleared():
    (slot_id,) = add_slots(0)
    function_id = begin_in(slot_id)
    assert not database_for("default").clear_slot(slot_id, function_id, 1, "another executor")
    assert free_slots(1) == []


def test_number_that_somebody_has_set_counts_instead_of_that_of_the_code():
    add_slots(0, 1, 2)
    assert free_slots(1) == [0]
    Limit.objects.create(name="counter", number=2, changed_time=timezone.now())
    assert free_slots(1) == [0, 1]
    Limit.objects.update(number=0)
    assert free_slots(1) == []
    Limit.objects.all().delete()
    assert free_slots(1) == [0]


def test_slots_that_are_missing_are_named_and_added_once():
    database = database_for("default")
    assert database.missing_slots([wanted(3, 2)]) == [(COUNTER, 0), (COUNTER, 1)]
    add_slots(1)
    assert database.missing_slots([wanted(3, 10)]) == [(COUNTER, 0), (COUNTER, 2)]
    add_slots(0, 1, 2)
    assert free_slots(3) == [0, 1, 2]


def test_function_whose_body_may_have_a_slot_stays_on_record(settings):
    settings.DJANGO_SCHEDULER = {"RETENTION": timedelta(days=1)}
    (slot_id,) = add_slots(0)
    put_on_record("e")
    long_ago = timezone.now() - timedelta(days=2)
    function_id = begin_in(slot_id, State.CANCELED, completed_time=long_ago)
    delete_expired(database_for("default"), Event())
    assert free_slots(1) == []
    Executor.objects.all().delete()
    delete_expired(database_for("default"), Event())
    assert not ScheduledFunction.objects.filter(pk=function_id).exists()


def test_only_slots_that_nobody_has_or_waits_for_are_deleted():
    slots = add_slots(0, 1)
    begin_in(slots[0])
    assert delete_idle_slots(database_for("default"), Event()) == 1
    assert free_slots(2) == []
    assert Slot.objects.get().number == 0


@pytest.mark.only_on("postgresql", "mysql")
def test_slot_of_an_executing_mutation_is_not_deleted(session: Session):
    add_slots(0)
    with transaction.atomic():
        database_for("default").lock_slots([wanted(1)], [])
        assert session.do(delete_idle_slots, database_for("default"), Event()) == 0
    assert session.do(delete_idle_slots, database_for("default"), Event()) == 1


def test_those_that_were_handed_over_begin_in_the_order_of_their_due_times():
    first, second = ctx.scheduler.run_after_many(0, note_in_due_order, [{"label": "first"}, {"label": "second"}])
    hand_over(first, second)

    by_id.execute(second)  # the fleet may have any order
    assert not Entry.objects.exists()
    by_id.execute(first)

    def have_begun_when_they_were_sent_again() -> bool:
        let_in = ScheduledFunction.objects.filter(state=State.PENDING, due_time__lt=timezone.now())
        for function_id in let_in.values_list("pk", flat=True):
            hand_over(function_id)
            by_id.execute(function_id)
        return record(second).state == State.SUCCESS

    wait_until(have_begun_when_they_were_sent_again, "the second one has its turn")
    assert list(Entry.objects.order_by("pk").values_list("label", flat=True)) == ["first", "second"]


def hand_over(*function_ids: int) -> None:
    for function_id in function_ids:
        transitions.HAND_OVER.apply(database_for("default"), function_id, {"due_time": timedelta(minutes=5)})
