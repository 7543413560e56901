"""No more bodies of a limit run at once than it says, and what waits for it is executed in the end."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.utils import timezone

from django_scheduler import Concurrency, Context, action, ctx, mutation
from django_scheduler.executor import limit_watch
from django_scheduler.models import FAR, Limit, ScheduledFunction, State
from tests.support.in_process import execute_with_one_worker, executing
from tests.support.records import record
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


class Bodies:
    """Counts the bodies that run at once, of each account, and keeps them until the test lets them go."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._let_go = threading.Event()
        self.clear()

    def clear(self) -> None:
        self._let_go.clear()
        self.running: Counter[int] = Counter()
        self.most: Counter[int] = Counter()
        self.begun: list[int] = []

    @contextmanager
    def run(self, account: int, number: int) -> Iterator[None]:
        with self._lock:
            self.begun.append(number)
            self.running[account] += 1
            self.most[account] = max(self.most[account], self.running[account])
        try:
            yield
        finally:
            with self._lock:
                self.running[account] -= 1

    def wait(self) -> None:
        assert self._let_go.wait(20)

    def let_go(self) -> None:
        self._let_go.set()

    @contextmanager
    def letting_go(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.let_go()


bodies = Bodies()


@pytest.fixture(autouse=True)
def _bodies():
    bodies.clear()


@action(concurrency=Concurrency(2, key="account"))
def call_bank(ctx: Context, *, account: int, number: int = 0) -> None:
    with bodies.run(account, number):
        bodies.wait()


@action(concurrency=Concurrency(1, key="account", name="one_call"))
def call_one_by_one(ctx: Context, *, account: int, number: int = 0) -> None:
    with bodies.run(account, number):
        bodies.wait()


@mutation(concurrency=Concurrency(1, key="account"))
def post_in_turn(ctx: Context, *, account: int, number: int = 0) -> None:
    with bodies.run(account, number):
        pass


@mutation(concurrency=Concurrency(1, key="account", name="one_call"))
def post_beside_calls(ctx: Context, *, account: int, number: int = 0) -> None:
    with bodies.run(account, number):
        pass


@mutation(concurrency=Concurrency(1), fair_key="tenant")
def post_by_tenant(ctx: Context, *, tenant: int, number: int) -> None:
    with bodies.run(0, number):
        pass


def all_ended(ids: Sequence[int]) -> bool:
    return not ScheduledFunction.objects.filter(pk__in=ids).exclude(state=State.SUCCESS).exists()


def waiting() -> list[int]:
    return list(ScheduledFunction.objects.filter(due_time=FAR).order_by("pk").values_list("pk", flat=True))


def test_no_more_bodies_run_at_once_than_the_limit_says():
    ids = ctx.scheduler.run_after_many(0, call_bank, [{"account": each % 2} for each in range(12)])
    with executing(concurrency=8), bodies.letting_go():
        wait_until(lambda: len(waiting()) == 8, "those without a slot wait")
        wait_until(lambda: bodies.running == {0: 2, 1: 2}, "the others run")
        bodies.let_go()
        wait_until(lambda: all_ended(ids), "all of them ended")
    assert bodies.most == {0: 2, 1: 2}


def test_mutations_of_a_limit_of_one_run_one_after_the_other_in_the_order_of_their_due_times():
    ids = ctx.scheduler.run_after_many(0, post_in_turn, [{"account": 1, "number": each} for each in range(30)])
    with executing(concurrency=4), executing(concurrency=4):
        wait_until(lambda: all_ended(ids), "all of them ended")
    assert bodies.most == {1: 1}
    assert bodies.begun == list(range(30))


def test_limit_of_one_keeps_the_order_of_due_times_also_where_tenants_take_turns():
    tenants = [0] * 8 + [1, 2] * 4
    ids = [ctx.scheduler.run_after(0, post_by_tenant, tenant=each, number=n) for n, each in enumerate(tenants)]
    with executing(concurrency=4), executing(concurrency=4):
        wait_until(lambda: all_ended(ids), "all of them ended")
    assert bodies.begun == list(range(len(tenants)))


def test_what_waits_has_no_attempt_and_says_what_for():
    first, second = (ctx.scheduler.run_after(0, call_one_by_one, account=7) for _ in range(2))
    due_time = record(second).due_time
    with executing(concurrency=4), bodies.letting_go():
        wait_until(lambda: waiting() == [second], "the second one waits")
        row = record(second)
        assert (row.state, row.attempts, row.waits_for, row.waiting_since) == (
            State.PENDING,
            0,
            "one_call [7]",
            due_time,
        )
        bodies.let_go()
        wait_until(lambda: all_ended([first, second]), "both ended")
    assert record(second).due_time == due_time
    assert record(second).waits_for is None


def test_functions_that_give_the_same_name_share_the_limit():
    call = ctx.scheduler.run_after(0, call_one_by_one, account=1)
    with executing(concurrency=4), bodies.letting_go():
        wait_until(lambda: bodies.running[1] == 1, "the action runs")
        posted = ctx.scheduler.run_after(0, post_beside_calls, account=1)
        wait_until(lambda: waiting() == [posted], "the mutation waits")
        other = ctx.scheduler.run_after(0, post_beside_calls, account=2)
        wait_until(lambda: all_ended([other]), "that of another account ended")
        bodies.let_go()
        wait_until(lambda: all_ended([call, posted]), "both ended")
    assert bodies.most[1] == 1


def test_canceled_action_keeps_its_slot_until_its_body_has_ended():
    first = ctx.scheduler.run_after(0, call_one_by_one, account=1)
    with executing(concurrency=4), bodies.letting_go():
        wait_until(lambda: bodies.running[1] == 1, "the first one runs")
        ctx.scheduler.cancel(first)
        second = ctx.scheduler.run_after(0, call_one_by_one, account=1)
        wait_until(lambda: waiting() == [second], "the second one waits")
        assert bodies.running[1] == 1
        bodies.let_go()
        wait_until(lambda: all_ended([second]), "the second one ended")
    assert bodies.most[1] == 1


def test_canceled_while_it_waits_it_never_begins():
    first, second, third = (ctx.scheduler.run_after(0, call_one_by_one, account=1, number=n) for n in range(3))
    with executing(concurrency=4), bodies.letting_go():
        wait_until(lambda: waiting() == [second, third], "both wait")
        ctx.scheduler.cancel(second)
        bodies.let_go()
        wait_until(lambda: all_ended([first, third]), "the others ended")
    assert record(second).state == State.CANCELED
    assert bodies.begun == [0, 2]


def test_expired_while_it_waits_it_never_begins():
    first = ctx.scheduler.run_after(0, call_one_by_one, account=1)
    with executing(concurrency=4), bodies.letting_go():
        wait_until(lambda: bodies.running[1] == 1, "the first one runs")
        second = ctx.scheduler.options(expires=timedelta(seconds=1)).run_after(0, call_one_by_one, account=1)
        wait_until(lambda: record(second).state == State.CANCELED, "it expired")
        bodies.let_go()
        wait_until(lambda: all_ended([first]), "the first one ended")


def test_limit_that_is_set_counts_at_once_and_nothing_that_waits_is_lost():
    ids = ctx.scheduler.run_after_many(0, call_bank, [{"account": 1}] * 6)
    with executing(concurrency=8), bodies.letting_go():
        wait_until(lambda: len(waiting()) == 4, "those without a slot wait")
        Limit.objects.create(name=call_bank.name, number=5, changed_time=timezone.now())
        wait_until(lambda: bodies.running[1] == 5, "more of them run")
        Limit.objects.update(number=0)
        bodies.let_go()
        wait_until(lambda: bodies.running[1] == 0, "they ended")
        wait_until(lambda: len(waiting()) == 1, "the last one waits again")
        Limit.objects.all().delete()
        wait_until(lambda: all_ended(ids), "all of them ended")


def test_however_many_limits_functions_wait_for_none_is_forgotten(monkeypatch):
    monkeypatch.setattr(limit_watch, "MOST_LIMITS", 2)
    Limit.objects.create(name=call_bank.name, number=0, changed_time=timezone.now())
    ids = ctx.scheduler.run_after_many(0, call_bank, [{"account": each} for each in range(7)])
    bodies.let_go()
    with executing(concurrency=2):
        wait_until(lambda: len(waiting()) == 7, "all of them wait")
        Limit.objects.all().delete()
        wait_until(lambda: all_ended(ids), "all of them ended")


def test_executor_that_ends_when_nothing_is_due_executes_what_waits_for_its_own_functions():
    ids = ctx.scheduler.run_after_many(0, post_in_turn, [{"account": 1, "number": each} for each in range(5)])
    execute_with_one_worker()
    assert all_ended(ids)
