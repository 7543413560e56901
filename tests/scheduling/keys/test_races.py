"""Many callers with one key at the same time, and executors that begin what waits."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction

from django_scheduler import Context, ctx, mutation
from django_scheduler.databases import database_for
from django_scheduler.errors import TransientError
from django_scheduler.executor import by_id
from django_scheduler.executor.mutation import MutationExecution
from django_scheduler.models import Key, ScheduledFunction, ScheduledFunctionId, State
from django_scheduler.record import delete_unheld_keys
from django_scheduler.scheduling import enqueue
from tests.executor.grouping.functions import enter, interludes, starts
from tests.functions import write
from tests.models import Entry
from tests.scheduling.cancellation.functions import write_at_gate
from tests.support.elsewhere import elsewhere
from tests.support.in_process import execute_with_one_worker, executing
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

EXISTING = pytest.mark.parametrize("existing", ["keep", "replace"])

#: Where the body of a mutation is not the only writer.
SERVERS = pytest.mark.only_on("postgresql", "mysql")


def with_key(existing, key="k"):
    return ctx.scheduler.options(key=key, existing=existing)


def at_once(number: int, work: Callable[[int], Any]) -> list[Any]:
    """Do something in many threads that begin at the same time, each on a connection of its own."""
    barrier = threading.Barrier(number)

    def begin(each: int) -> Any:
        try:
            connection.ensure_connection()
            barrier.wait(20)
            return work(each)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(begin, range(number)))


@EXISTING
@pytest.mark.parametrize("in_a_transaction", [True, False])
def test_fifty_calls_at_once_with_one_key_are_one_that_waits_with_one_id(existing, in_a_transaction):
    def call(number: int) -> Any:
        if not in_a_transaction:
            return with_key(existing).run_after(0, write, label=str(number))
        with transaction.atomic():
            return with_key(existing).run_after(0, write, label=str(number))

    ids = at_once(50, call)

    row = ScheduledFunction.objects.get()
    assert set(ids) == {row.pk}
    assert row.absorbed == 49


@pytest.mark.only_on("sqlite")
def test_calls_at_once_in_transactions_that_begin_with_reading_as_django_has_them_by_default():
    def call(number: int) -> Any:
        own: Any = connections["default"]
        own.close()
        own.transaction_mode = None
        with transaction.atomic():
            return with_key("replace").run_after(0, write, label=str(number))

    assert len(set(at_once(20, call))) == 1


@EXISTING
def test_fifty_calls_at_once_of_ten_keys_in_bulk(existing):
    options = ctx.scheduler.options(key=lambda label: label[-1], existing=existing)

    def call(number: int) -> list[ScheduledFunctionId]:
        arguments = [{"label": f"{number} {key}"} for key in "0123456789"]
        ids = options.run_after_many(0, write, arguments[::-1] if number % 2 else arguments)
        return ids[::-1] if number % 2 else ids

    results = at_once(25, call)

    assert all(ids == results[0] for ids in results)
    assert ScheduledFunction.objects.count() == 10


@pytest.mark.usefixtures("retry_at_once")
def test_two_mutations_that_take_keys_in_opposite_order_both_succeed():
    both_have_one = threading.Barrier(2)
    one_has_committed = threading.Event()
    attempts = []

    @mutation
    def take_keys_in_order(ctx: Context, *, keys: list[str]) -> None:
        attempts.append(keys)
        if len(attempts) > 2:  # the database may let it have its first key again before the other one, which waits
            one_has_committed.wait(20)
        options = ctx.scheduler.options(existing="replace", key=lambda label: label[0])
        options.run_after(0, write, label=f"{keys[0]} of {keys}")
        if len(attempts) <= 2 and connection.vendor != "sqlite":  # there, the second one waits for the first one
            both_have_one.wait(20)
        options.run_after(0, write, label=f"{keys[1]} of {keys}")

    def take_keys(keys: list[str]) -> None:
        ctx.run_mutation(take_keys_in_order, keys=keys)
        one_has_committed.set()

    at_once(2, lambda each: take_keys([["a", "b"], ["b", "a"]][each]))

    assert len(attempts) == (2 if connection.vendor == "sqlite" else 3)
    rows = ScheduledFunction.objects.order_by("key")
    assert [row.key for row in rows] == ["a", "b"]
    assert len({row.args["label"][1:] for row in rows}) == 1  # of the one that has committed last


def repeat_reads():
    """Have this transaction see what was committed before its first statement, and nothing else."""
    with connection.cursor() as cursor:
        if connection.vendor == "mysql":
            cursor.execute("ROLLBACK")
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION")
        else:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    return Entry.objects.count()


@pytest.mark.only_on("mysql")
def test_calls_at_once_in_transactions_that_repeat_reads():
    def call(number: int) -> Any:
        with transaction.atomic():
            repeat_reads()
            return with_key("replace").run_after(0, write, label=str(number))

    outcomes = at_once(10, lambda number: outcome(lambda: call(number)))

    assert set(outcomes) <= {ScheduledFunction.objects.get().pk, "conflict"}


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except DatabaseError as error:
        if not database_for("default").is_conflict(error):
            raise
        return "conflict"


@SERVERS
@EXISTING
@pytest.mark.parametrize("meanwhile", ["called", "executed", "called and executed"])
def test_a_transaction_that_repeats_reads_takes_in_what_waits_or_meets_a_conflict(existing, meanwhile, execute_due):
    first = with_key(existing).run_after(0, write, label="first") if meanwhile == "executed" else 0

    def call() -> Any:
        nonlocal first
        with transaction.atomic():
            repeat_reads()
            if "called" in meanwhile:
                first = elsewhere(lambda: with_key(existing).run_after(0, write, label="first"))
            if "executed" in meanwhile:
                elsewhere(execute_due)
            return with_key(existing).run_after(0, write, label="second")

    returned = outcome(call)

    if returned != "conflict":
        assert (returned == first) == (meanwhile == "called")


@pytest.mark.parametrize("key", ["k", "another"])
def test_what_waits_for_a_retry_and_what_waits_with_its_key_run_side_by_side(key, execute_due):
    """Nothing is unique among them: no retry, no run again and no claim can collide."""
    first = with_key("keep").run_after(0, write, label="first")
    ScheduledFunction.objects.filter(pk=first).update(attempts=1)
    second = with_key("keep", key).run_after(0, write, label="second")
    execute_due()
    assert set(Entry.objects.values_list("function_id", flat=True)) == {first, second}


# An executing mutation


@SERVERS
@EXISTING
def test_while_it_executes_calls_lead_to_one_later_run_and_wait_for_nobody(existing, gate, start_executor):
    start_executor(concurrency=2)
    first = with_key(existing).run_after(0, write_at_gate, label="first", gate=gate.path)
    gate.wait_for_arrivals()

    with transaction.atomic():
        second = with_key(existing).run_after(0, write_at_gate, label="second", gate=gate.path)
    third = elsewhere(lambda: with_key(existing).run_after(0, write_at_gate, label="third", gate=gate.path))
    assert not gate.departures

    assert second != first
    gate.open()
    wait_until(lambda: not ScheduledFunction.objects.filter(state=State.PENDING).exists(), "all ended")
    if third == second:
        assert ScheduledFunction.objects.count() == 2
    else:  # the second one had begun before the third call came
        assert ScheduledFunction.objects.count() == 3
    assert set(ScheduledFunction.objects.values_list("state", flat=True)) == {State.SUCCESS}


@SERVERS
def test_what_waits_cannot_begin_before_the_call_has_committed(execute_due):
    first = with_key("replace").run_after(0, write, label="first")
    with transaction.atomic():
        with_key("replace").run_after(0, write, label="second")
        elsewhere(execute_due)
        assert not Entry.objects.exists()
    execute_due()
    assert [(entry.label, entry.function_id) for entry in Entry.objects.all()] == [("second", first)]


@EXISTING
def test_executors_are_woken_for_what_they_have_passed_over(existing, rings):
    with_key(existing).run_after(0, write, label="first")
    rings.clear()
    with transaction.atomic():
        with_key(existing).run_after(0, write, label="second")
        assert not rings
    assert len(rings) == 1


@EXISTING
@pytest.mark.parametrize("error", [ValueError, TransientError])
def test_a_call_between_a_rollback_and_its_record_is_followed_by_another_start(
    existing, error, execute_due, monkeypatch, caplog
):
    labels = []

    @mutation
    def raise_first(ctx: Context, *, label: str) -> None:
        labels.append(label)
        if len(labels) == 1:
            raise error("once")

    first = with_key(existing).run_after(0, raise_first, label="first")
    calls: list[int] = []
    record_it = MutationExecution.after_rollback

    def call_before(execution: MutationExecution, raised: BaseException) -> None:
        if not calls:
            calls.append(elsewhere(lambda: with_key(existing).run_after(0, raise_first, label="second")))
        record_it(execution, raised)

    monkeypatch.setattr(MutationExecution, "after_rollback", call_before)
    execute_due()

    assert calls == [first]
    assert labels == ["first", "first" if existing == "keep" else "second"]
    row = record(first)
    assert (row.state, row.attempts, row.absorbed) == (State.SUCCESS, 1, 1)
    assert "is dropped" in caplog.text


@EXISTING
@pytest.mark.parametrize("holder_is_first", [True, False])
def test_a_member_of_a_group_that_schedules_with_the_key_of_another_one(
    existing, holder_is_first, groups, growing_groups
):
    """They share a transaction, in which no row is locked for the others."""
    starts.clear()
    calls: list[int] = []
    interludes["caller"] = lambda: calls.append(with_key(existing).run_after(0, enter, label="again"))
    try:
        ctx.scheduler.run_after_many(0, enter, [{"label": "other"}] * 7)
        with transaction.atomic():
            if holder_is_first:
                first = with_key(existing).run_after(0, enter, label="holder")
            ctx.scheduler.run_after(0, enter, label="caller")
            if not holder_is_first:
                first = with_key(existing).run_after(0, enter, label="holder")
        execute_with_one_worker()
    finally:
        interludes.clear()

    assert any(len(group) > 1 and first in group for group in groups)
    written = list(Entry.objects.exclude(label="other").order_by("pk").values_list("label", flat=True))
    if holder_is_first:
        assert written == ["holder", "caller", "again"]
    else:
        # It waits until the caller has run alone.
        assert written == ["caller", "holder" if existing == "keep" else "again"]
        assert calls[-1] == first


def test_members_of_a_group_may_schedule_with_other_keys(groups, growing_groups):
    starts.clear()
    interludes["caller"] = lambda: with_key("keep", "other").run_after(0, write, label="later")
    try:
        ctx.scheduler.run_after_many(0, enter, [{"label": "other"}] * 3 + [{"label": "caller"}] * 4)
        execute_with_one_worker()
    finally:
        interludes.clear()
    assert starts.count("caller") == 4  # no group has ended
    assert any(len(group) == 4 for group in groups)
    assert Entry.objects.filter(label="later").count() == 1


@SERVERS
def test_calls_with_other_keys_wait_for_nobody_however_few_keys_there_are(session, another_session):
    """Where most of the rows of a table are chosen, MariaDB would rather read, and lock, all of it."""

    def schedule(*keys: str) -> None:
        ctx.scheduler.options(key=lambda label: label).run_after_many(0, write, [{"label": key} for key in keys])

    schedule(*"abc")
    session.open_transaction()
    session.do(schedule, "a")
    if connection.vendor == "mysql":
        another_session.execute("SET SESSION innodb_lock_wait_timeout = 2")
    another_session.do(schedule, *"bcdefg")
    session.roll_back()


# Deleting keys


def unheld_keys_deleted():
    return delete_unheld_keys(database_for("default"), threading.Event())


def test_keys_that_nobody_holds_are_deleted_and_others_stay():
    ids = {key: with_key("keep", key).run_after(0, write, label=key) for key in "abcdef"}
    rows = ScheduledFunction.objects
    rows.filter(pk=ids["a"]).update(state=State.SUCCESS)
    rows.filter(pk=ids["b"]).update(state=State.CANCELED)
    rows.filter(pk=ids["c"]).delete()
    rows.filter(pk=ids["d"]).update(state=State.IN_PROGRESS)
    rows.filter(pk=ids["e"]).update(attempts=1)

    assert unheld_keys_deleted() == 3

    assert sorted(Key.objects.values_list("name", flat=True)) == [f"tests:write {key}" for key in "def"]
    assert with_key("keep", "f").run_after(0, write, label="f") == ids["f"]
    assert with_key("keep", "a").run_after(0, write, label="a") not in ids.values()


def test_more_keys_than_fit_into_a_transaction_are_deleted(monkeypatch):
    monkeypatch.setattr("django_scheduler.record.retention.ROWS_PER_TRANSACTION", 3)
    monkeypatch.setattr("django_scheduler.record.retention.SECONDS_BETWEEN_TRANSACTIONS", 0)
    options = ctx.scheduler.options(key=lambda label: label)
    ids = options.run_after_many(0, write, [{"label": str(number)} for number in range(10)])
    ScheduledFunction.objects.filter(pk__in=ids[1:]).update(state=State.SUCCESS)
    assert unheld_keys_deleted() == 9
    assert Key.objects.get().function_id == ids[0]


@SERVERS
def test_a_key_that_somebody_is_scheduling_with_is_not_deleted_and_not_waited_for():
    first = with_key("keep").run_after(0, write, label="first")
    ScheduledFunction.objects.filter(pk=first).update(state=State.SUCCESS)
    with transaction.atomic():
        second = with_key("keep").run_after(0, write, label="second")
        assert elsewhere(unheld_keys_deleted) == 0
    assert with_key("keep").run_after(0, write, label="third") == second


@SERVERS
def test_who_waits_for_a_key_that_is_deleted_inserts_it(session):
    first = with_key("keep").run_after(0, write, label="first")
    ScheduledFunction.objects.filter(pk=first).update(state=State.SUCCESS)
    with transaction.atomic():
        Key.objects.all().delete()
        call = session.begin(lambda: with_key("keep").run_after(0, write, label="second"))
        session.wait_until_it_waits()
    second = call.result(20)
    assert with_key("keep").run_after(0, write, label="third") == second != first


def test_executors_delete_keys_that_nobody_holds():
    first = with_key("keep").run_after(0, write, label="first")
    ScheduledFunction.objects.filter(pk=first).update(state=State.SUCCESS)
    with executing(concurrency=1):
        wait_until(lambda: not Key.objects.exists(), "the key was deleted")


# Fleets


class FleetOfTest:
    """Notes what it is to hand over, after the commit."""

    def __init__(self) -> None:
        self.ids: list[int] = []

    def time_to_begin(self) -> timedelta:
        return timedelta(minutes=10)

    def hand_over_after_commit(self, using: str, ids: Iterable[int], function: object) -> None:
        transaction.on_commit(partial(self.ids.extend, list(ids)), using=using)


@pytest.fixture
def fleet() -> Iterator[FleetOfTest]:
    fleet = FleetOfTest()
    enqueue.hand_over_to(fleet)
    yield fleet
    enqueue.hand_over_to(None)
    by_id.leave()


def test_what_is_replaced_and_due_at_once_is_handed_over_once_more(fleet):
    first = with_key("replace").run_after(60_000, write, label="first")
    assert fleet.ids == []
    assert with_key("replace").run_after(0, write, label="second") == first
    assert with_key("replace").run_after(0, write, label="third") == first
    assert fleet.ids == [first, first]

    assert [by_id.execute(each) for each in fleet.ids] == [True, False]
    assert Entry.objects.get().label == "third"


def test_what_was_handed_over_and_is_put_off_by_a_call_does_not_begin_before_its_time(fleet):
    first = with_key("replace").run_after(0, write, label="first")
    assert with_key("replace").run_after(60_000, write, label="second") == first
    assert fleet.ids == [first]

    assert not by_id.execute(first)
    assert with_key("keep").run_after(0, write, label="third") == first
    assert fleet.ids == [first]
