"""Real conflicts between real transactions: the mutation that loses is repeated, and both take effect once."""

import threading
from contextlib import suppress

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F

from django_scheduler import Context, ctx, mutation
from django_scheduler.databases import database_for
from tests.models import Account, Entry
from tests.support.elsewhere import LONG_ENOUGH, elsewhere, meanwhile

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("retry_at_once")]


@pytest.fixture
def accounts():
    return [Account.objects.create(balance=100).pk for _ in range(2)]


class Meeting:
    """Two mutations wait for each other in their first attempt, and then no more."""

    def __init__(self):
        self._barrier = threading.Barrier(2)
        self._attended = threading.local()
        self.attempts = []

    def attend(self):
        self.attempts.append(threading.get_ident())
        if not getattr(self._attended, "once", False):
            self._attended.once = True
            self._barrier.wait(LONG_ENOUGH)


@pytest.mark.only_on("postgresql", "mysql")
def test_of_two_mutations_in_a_deadlock_one_is_repeated(accounts):
    meeting = Meeting()

    @mutation
    def transfer(ctx: Context, source: int, target: int) -> None:
        Entry.objects.create(label=f"from {source}")
        first = Account.objects.select_for_update().get(pk=source)
        meeting.attend()
        second = Account.objects.select_for_update().get(pk=target)
        first.balance -= 10
        second.balance += 20
        first.save()
        second.save()

    with meanwhile(lambda: ctx.run_mutation(transfer, *accounts)) as other:
        ctx.run_mutation(transfer, *reversed(accounts))
    other.result()
    assert len(meeting.attempts) >= 3  # it may be repeated before the other one has got what it waits for
    assert [account.balance for account in Account.objects.all()] == [110, 110]
    assert Entry.objects.count() == 2


@pytest.mark.only_on("postgresql")
def test_of_two_mutations_that_cannot_be_serialized_one_is_repeated(accounts):
    meeting = Meeting()

    @mutation
    def withdraw_if_covered_by_both(ctx: Context, account: int) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        covered = sum(account.balance for account in Account.objects.all()) >= 200
        meeting.attend()
        if covered:
            Account.objects.filter(pk=account).update(balance=-100)
        return covered

    with meanwhile(lambda: ctx.run_mutation(withdraw_if_covered_by_both, accounts[0])) as other:
        mine = ctx.run_mutation(withdraw_if_covered_by_both, accounts[1])
    assert sorted([mine, other.result()]) == [False, True]
    assert len(meeting.attempts) >= 3


@pytest.fixture
def deferred_transactions(monkeypatch):
    """Django's default for SQLite: a transaction that has only read so far has no lock."""
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "transaction_mode", "DEFERRED")
    connection.close()
    yield
    connection.close()


@pytest.mark.only_on("sqlite")
def test_a_mutation_whose_snapshot_is_outdated_is_repeated(accounts, deferred_transactions):
    attempts = []

    @mutation
    def increment(ctx: Context) -> None:
        account = Account.objects.get(pk=accounts[0])
        attempts.append(account.balance)
        if len(attempts) == 1:
            elsewhere(lambda: Account.objects.filter(pk=accounts[0]).update(balance=500))
        account.balance += 1
        account.save()

    ctx.run_mutation(increment)
    assert attempts == [100, 500]
    assert Account.objects.get(pk=accounts[0]).balance == 501


@pytest.mark.only_on("postgresql", "mysql")
@pytest.mark.parametrize("goes_on", [True, False])
def test_a_mutation_that_swallows_a_deadlock_is_repeated_all_the_same(accounts, goes_on):
    meeting = Meeting()

    @mutation
    def transfer(ctx: Context, source: int, target: int) -> None:
        Account.objects.filter(pk=source).update(balance=F("balance") + 1)
        meeting.attend()
        with suppress(DatabaseError):
            Account.objects.filter(pk=target).update(balance=F("balance") + 1)
        if goes_on:
            Entry.objects.create(label="after")

    with meanwhile(lambda: ctx.run_mutation(transfer, *accounts)) as other:
        ctx.run_mutation(transfer, *reversed(accounts))
    other.result()
    assert len(meeting.attempts) >= 3  # it may be repeated before the other one has got what it waits for
    assert [account.balance for account in Account.objects.all()] == [102, 102]
    assert Entry.objects.count() == (2 if goes_on else 0)


@pytest.mark.only_on("postgresql", "mysql")
def test_a_conflict_in_a_hook_after_the_commit_does_not_repeat_the_mutation(accounts):
    """The hook has a transaction of its own, and is in a deadlock there; the mutation has long committed."""
    meeting = Meeting()
    attempts = []

    def update_both(first, second):
        with transaction.atomic():
            Account.objects.filter(pk=first).update(balance=1)
            meeting.attend()
            Account.objects.filter(pk=second).update(balance=1)

    @mutation
    def store(ctx: Context, first: int, second: int) -> None:
        attempts.append(first)
        Entry.objects.create(label="a")
        transaction.on_commit(lambda: update_both(first, second))

    errors = []

    def run(*pks):
        try:
            ctx.run_mutation(store, *pks)
        except DatabaseError as error:
            errors.append(error)

    with meanwhile(lambda: run(*accounts)):
        run(*reversed(accounts))
    assert len(errors) == 1
    assert database_for("default").is_conflict(errors[0])
    assert len(attempts) == 2
    assert Entry.objects.count() == 2
