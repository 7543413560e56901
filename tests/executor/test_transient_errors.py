"""What will pass: the mutation stays pending, is repeated later, and succeeds in the end."""

from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from django_scheduler import Context, ctx, mutation
from django_scheduler.errors import TransientError
from django_scheduler.executor.poller import Until
from django_scheduler.models import State
from tests.functions import write
from tests.models import Account, Entry
from tests.support.records import record
from tests.support.rivals import Deadlock, holding
from tests.support.sessions import lose_this_session

attempts: list[str] = []
deadlocks: list[Deadlock] = []
accounts: list[Account] = []


@pytest.fixture(autouse=True)
def _two_accounts(transactional_db):
    attempts.clear()
    deadlocks.clear()
    accounts[:] = [Account.objects.create(), Account.objects.create()]
    yield
    for deadlock in deadlocks:
        deadlock.end()


def ask_for_a_retry() -> None:
    raise TransientError("not yet")


def deadlock() -> None:
    deadlocks.append(Deadlock(accounts[0].pk, accounts[1].pk))
    deadlocks[-1].meet()


def swallow(error_of) -> None:
    with suppress(DatabaseError):
        error_of()


def swallow_deadlock() -> None:
    swallow(deadlock)


def swallow_deadlock_and_go_on() -> None:
    swallow(deadlock)
    Entry.objects.create(label="after")


def raise_another_error_because_of_deadlock() -> None:
    try:
        deadlock()
    except DatabaseError as error:
        raise ValueError("something else") from error


def swallow_deadlock_around_a_savepoint() -> None:
    def in_a_savepoint() -> None:
        with transaction.atomic():
            deadlock()

    if connection.vendor == "postgresql":  # whose savepoint makes the transaction whole again
        in_a_savepoint()
    swallow(in_a_savepoint)
    Entry.objects.create(label="after")


def swallow_deadlock_within_a_savepoint() -> None:
    with transaction.atomic():
        swallow(deadlock)
        Entry.objects.create(label="after")


def meet_a_lock() -> None:
    with holding(accounts[0]):
        Account.objects.select_for_update(nowait=True).get(pk=accounts[0].pk)


def lose_the_connection_and_go_on() -> None:
    swallow(lose_this_session)
    Entry.objects.create(label="after")


def swallow_the_loss_of_the_connection() -> None:
    swallow(lose_this_session)


EVERYWHERE = [ask_for_a_retry]
ON_SERVERS = [
    deadlock,
    swallow_deadlock,
    swallow_deadlock_and_go_on,
    swallow_deadlock_around_a_savepoint,
    swallow_deadlock_within_a_savepoint,
    raise_another_error_because_of_deadlock,
    meet_a_lock,
    lose_this_session,
    lose_the_connection_and_go_on,
    swallow_the_loss_of_the_connection,
]
WAYS = {way.__name__: way for way in EVERYWHERE + ON_SERVERS}
EACH_WAY = [way.__name__ for way in EVERYWHERE] + [
    pytest.param(way.__name__, marks=pytest.mark.only_on("postgresql", "mysql")) for way in ON_SERVERS
]


@mutation
def fail_at_first(ctx: Context, *, way: str) -> None:
    attempts.append(way)
    Entry.objects.create(label="before")
    ctx.scheduler.run_after(0, write, label="child")
    if len(attempts) == 1:
        WAYS[way]()
    Entry.objects.create(label="in the end")


@pytest.mark.usefixtures("even_backoff")
@pytest.mark.parametrize("way", EACH_WAY)
def test_mutation_that_meets_a_transient_error_leaves_nothing_and_succeeds_in_the_end(execute_due, settings, way):
    settings.DJANGO_SCHEDULER = {"BACKOFF_INITIAL": timedelta(minutes=10), "BACKOFF_MAXIMUM": timedelta(minutes=10)}
    function_id = ctx.scheduler.run_after(0, fail_at_first, way=way)
    other_id = ctx.scheduler.run_after(0, write, label="other")
    before = record(function_id)

    execute_due()

    row = record(function_id)
    assert (row.state, row.attempts, row.failure) == (State.PENDING, 1, "")
    assert row.error
    assert row.completed_time is None
    assert row.scheduled_time == before.scheduled_time
    assert record(other_id).state == State.SUCCESS
    finished = record(other_id).completed_time
    assert finished is not None
    assert before.due_time < row.due_time <= finished + timedelta(minutes=10)
    assert not Entry.objects.exclude(label__in=["rival", "other"]).exists()

    for each in deadlocks:
        each.end()
    settings.DJANGO_SCHEDULER = {}
    type(row).objects.filter(pk=row.pk).update(due_time=row.scheduled_time)
    execute_due()

    row = record(function_id)
    assert (row.state, row.attempts, row.error, row.traceback) == (State.SUCCESS, 2, "", "")
    labels = Entry.objects.exclude(label__in=["rival", "other"]).order_by("pk").values_list("label", flat=True)
    assert list(labels) == ["before", "in the end", "child"]


@mutation
def fail_three_times(ctx: Context) -> int:
    attempts.append("again")
    if len(attempts) <= 3:
        raise TransientError("not yet")
    return len(attempts)


def test_mutation_is_repeated_by_itself_until_it_succeeds(execute_due, settings):
    settings.DJANGO_SCHEDULER = {"BACKOFF_INITIAL": timedelta(milliseconds=20)}
    function_id = ctx.scheduler.run_after(0, fail_three_times)

    execute_due(Until.NOTHING_PENDING)

    row = record(function_id)
    assert (row.state, row.attempts, row.decoded_result()) == (State.SUCCESS, 4, 4)
    assert row.due_time > row.scheduled_time
